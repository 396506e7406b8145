"""Number rows as vector registers in Numba. A row is one element of an array; its width is part of the array's type.

Numba's own vectoriser must prove that arrays do not overlap, and cannot. Rows need no proof: `load`, arithmetic and
`store` become vector instructions of the processor's width. Operators round as written; `muladd` may fuse.
A function that uses rows is compiled and cached once for each width it is called with. Use rows only in a separate
function that a parallel loop calls: directly in the loop's body, Numba may move or drop a `store`.
"""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import extending, types
from numba.core import cgutils
from numba.extending import models, register_model
from numba.np.arrayobj import make_array

intrinsic: Any = extending.intrinsic  # its own types require the hidden argument from callers

INDEX = ir.IntType(64)
FLOAT = ir.FloatType()
LOOSE = ("nnan", "nsz", "reassoc", "contract")  # for reductions: the processor may choose the order


def rows(count: int, width: int) -> npt.NDArray[np.void]:
    """Uninitialised array of `count` rows of `width` float32; `.view(np.float32)` gives the numbers."""
    return np.empty(count, np.dtype([("row", np.float32, width)]))


class Row(types.Type):
    """`width` float32 in registers."""

    def __init__(self, width: int) -> None:
        self.width = width
        super().__init__(name=f"Row({width})")


@register_model(Row)
class _RowModel(models.PrimitiveModel):
    def __init__(self, manager: Any, row: Row) -> None:
        super().__init__(manager, row, _vector(row.width))


def _vector(width: int, kind: Any = FLOAT) -> Any:
    return ir.VectorType(kind, width)


def _row_type(array: Any) -> Row:
    return Row(array.dtype.size // 4)


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any, index_type: Any) -> Any:
    index = context.cast(builder, index, index_type, types.intp)
    data = make_array(array_type)(context, builder, array).data
    numbers = builder.bitcast(data, FLOAT.as_pointer())
    return builder.gep(numbers, [builder.mul(index, ir.Constant(INDEX, array_type.dtype.size // 4))])


@intrinsic
def load(typing: Any, array: Any, index: Any) -> Any:
    """Row `index` of an array of rows; the index is not checked."""
    row = _row_type(array)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, array, args[0], args[1], index)
        return builder.load(builder.bitcast(pointer, _vector(row.width).as_pointer()), align=4)

    return row(array, index), generate


@intrinsic
def store(typing: Any, array: Any, index: Any, value: Any) -> Any:
    """Write a row, or write one number into a whole row."""
    width = _row_type(array).width

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, array, args[0], args[1], index)
        row = _widen(context, builder, value, args[2], width)
        builder.store(row, builder.bitcast(pointer, _vector(width).as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(array, index, value), generate


@intrinsic
def width_of(typing: Any, array: Any) -> Any:
    """Width of the rows of an array; a constant for the compiler."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return ir.Constant(INDEX, _row_type(array).width)

    return types.int64(array), generate


@intrinsic
def element(typing: Any, array: Any, index: Any, lane: Any) -> Any:
    """One number of row `index`."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, array, args[0], args[1], index)
        return builder.load(builder.gep(pointer, [context.cast(builder, args[2], lane, types.intp)]))

    return types.float32(array, index, lane), generate


def _widen(context: Any, builder: Any, kind: Any, value: Any, width: int) -> Any:
    """A row stays as it is; a number is copied to all lanes."""
    if isinstance(kind, Row):
        return value
    undefined = ir.Constant(_vector(width), ir.Undefined)
    number = context.cast(builder, value, kind, types.float32)
    first = builder.insert_element(undefined, number, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(_vector(width, ir.IntType(32)), [0] * width))


def _elementwise(emit: Callable[..., Any]) -> Any:
    """An intrinsic over rows and numbers; at least one argument is a row."""

    def typed(signature_of: list[Any]) -> Any:
        width = next(kind.width for kind in signature_of if isinstance(kind, Row))

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            pairs = zip(signature_of, args, strict=True)
            return emit(builder, *[_widen(context, builder, kind, value, width) for kind, value in pairs])

        return Row(width)(*signature_of), generate

    return typed


def _call(builder: Any, name: str, result: Any, args: list[Any], flags: tuple[str, ...] = ()) -> Any:
    """Call an LLVM intrinsic."""
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(result, [a.type for a in args]), name)
    return builder.call(function, args, fastmath=flags)


def _fused(builder: Any, a: Any, b: Any, c: Any) -> Any:
    return _call(builder, f"llvm.fmuladd.v{a.type.count}f32", a.type, [a, b, c])


def _less(builder: Any, a: Any, b: Any) -> Any:
    one, zero = (ir.Constant(a.type, [x] * a.type.count) for x in (1.0, 0.0))
    return builder.select(builder.fcmp_ordered("<", a, b), one, zero)


def _round(builder: Any, a: Any) -> Any:
    return _call(builder, f"llvm.rint.v{a.type.count}f32", a.type, [a])


def _exp(builder: Any, x: Any) -> Any:
    """2^k times a polynomial on [-ln 2 / 2, ln 2 / 2] (Cephes' expf), to 2 units in the last place; 0 below e^-87."""
    width = x.type.count

    def const(value: float) -> Any:
        return ir.Constant(x.type, [float(np.float32(value))] * width)

    tiny = builder.fcmp_ordered("<", x, const(-87.0))  # denormal numbers are slow
    x = builder.select(tiny, const(-87.0), x)
    k = _round(builder, builder.fmul(x, const(1.44269504)))
    r = _fused(builder, k, const(2.12194440e-4), _fused(builder, k, const(-0.693359375), x))
    p = const(1.9875691500e-4)
    for c in (1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1):
        p = _fused(builder, p, r, const(c))
    p = builder.fadd(_fused(builder, builder.fmul(p, r), r, r), const(1.0))
    integers = _vector(width, ir.IntType(32))
    exponent = builder.add(builder.fptosi(k, integers), ir.Constant(integers, [127] * width))
    power = builder.bitcast(builder.shl(exponent, ir.Constant(integers, [23] * width)), x.type)
    return builder.select(tiny, const(0.0), builder.fmul(p, power))


def _binary(typed: Any) -> Any:
    @intrinsic
    def function(typing: Any, a: Any, b: Any) -> Any:
        return typed([a, b])

    return function


def _operator(symbol: Any, emit: Callable[..., Any]) -> None:
    """Define an operator for rows with rows or numbers. `overload` would compile a function for each pair of types."""
    typed = _elementwise(emit)

    @extending.type_callable(symbol)
    def type_of(context: Any) -> Any:
        def typer(a: Any, b: Any) -> Any:
            known = all(isinstance(kind, Row | types.Number) for kind in (a, b))
            return typed([a, b])[0].return_type if known and (isinstance(a, Row) or isinstance(b, Row)) else None

        return typer

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return typed(list(signature.args))[1](context, builder, signature, args)

    for kinds in ((Row, Row), (Row, types.Number), (types.Number, Row)):
        extending.lower_builtin(symbol, *kinds)(generate)


_operator(operator.add, lambda builder, a, b: builder.fadd(a, b))
_operator(operator.sub, lambda builder, a, b: builder.fsub(a, b))
_operator(operator.mul, lambda builder, a, b: builder.fmul(a, b))

less = _binary(_elementwise(_less))
"""1 where a < b, else 0."""


@intrinsic
def muladd(typing: Any, a: Any, b: Any, c: Any) -> Any:
    """`a * b + c`, rounded once if the processor can do so."""
    return _elementwise(_fused)([a, b, c])


@intrinsic
def exp(typing: Any, a: Any) -> Any:
    """e^a; 0 below e^-87."""
    return _elementwise(_exp)([a])


@intrinsic
def round_even(typing: Any, a: Any) -> Any:
    """Nearest integers, halves to even."""
    return _elementwise(_round)([a])


def _reduction(name: str, start: list[float]) -> Any:
    @intrinsic
    def function(typing: Any, a: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            first = [ir.Constant(FLOAT, value) for value in start]
            return _call(builder, f"llvm.vector.reduce.{name}.v{a.width}f32", FLOAT, [*first, args[0]], LOOSE)

        return types.float32(a), generate

    return function


total = _reduction("fadd", [-0.0])
"""Sum over a row."""
largest = _reduction("fmax", [])
"""Maximum over a row."""
