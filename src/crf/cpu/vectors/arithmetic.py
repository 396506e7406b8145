"""Arithmetic of rows: operators that round as written, `muladd` that may fuse, functions, sums and maxima."""

import operator
from collections.abc import Callable
from functools import partial, reduce
from typing import Any

import numpy as np
from llvmlite import ir
from numba import extending, types
from numba.core import cgutils

from .simd import FLOAT, Row, intrinsic, joined, split, widen

LN2_HIGH = 0.693359375  # ln 2 with few bits; what is missing is -2.12194440e-4
LOOSE = ("nnan", "nsz", "reassoc", "contract")  # for reductions: the processor may choose the order


def _elementwise(emit: Callable[..., Any]) -> Any:
    """An intrinsic over rows and numbers; at least one argument is a row."""

    def typed(signature_of: list[Any]) -> Any:
        width = next(kind.width for kind in signature_of if isinstance(kind, Row))

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            pairs = zip(signature_of, args, strict=True)
            parts = zip(*[widen(context, builder, kind, value, width) for kind, value in pairs], strict=True)
            return joined(builder, [emit(builder, *part) for part in parts])

        return Row(width)(*signature_of), generate

    return typed


def _call(builder: Any, name: str, result: Any, args: list[Any], flags: tuple[str, ...] = ()) -> Any:
    """Call an LLVM intrinsic."""
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(result, [a.type for a in args]), name)
    return builder.call(function, args, fastmath=flags)


def _constant(like: Any, value: float) -> Any:
    return ir.Constant(like.type, [float(np.float32(value))] * like.type.count)


def _integers(like: Any, value: int) -> Any:
    """A constant as integers of 32 bits."""
    return ir.Constant(ir.VectorType(ir.IntType(32), like.type.count), [value] * like.type.count)


def _fused(builder: Any, a: Any, b: Any, c: Any) -> Any:
    return _call(builder, f"llvm.fmuladd.v{a.type.count}f32", a.type, [a, b, c])


def _less(builder: Any, a: Any, b: Any) -> Any:
    return builder.select(builder.fcmp_ordered("<", a, b), _constant(a, 1), _constant(a, 0))


def _higher(builder: Any, a: Any, b: Any) -> Any:
    return builder.select(builder.fcmp_ordered("<", a, b), b, a)


def _round(builder: Any, a: Any) -> Any:
    return _call(builder, f"llvm.rint.v{a.type.count}f32", a.type, [a])


def _polynomial(builder: Any, x: Any, factors: tuple[float, ...]) -> Any:
    """By Horner's rule, the highest power's factor first."""
    found = _constant(x, factors[0])
    for factor in factors[1:]:
        found = _fused(builder, found, x, _constant(x, factor))
    return found


def _exp(builder: Any, x: Any) -> Any:
    """2^k times a polynomial on [-ln 2 / 2, ln 2 / 2] that is fitted for the least relative error."""
    tiny = builder.fcmp_ordered("<", x, _constant(x, -69.0))  # denormal numbers are slow
    k = _round(builder, builder.fmul(x, _constant(x, 1.44269504)))
    r = _fused(builder, k, _constant(x, 2.12194440e-4), _fused(builder, k, _constant(x, -LN2_HIGH), x))
    p = _polynomial(builder, r, (1.381454e-3, 8.368745246e-3, 4.16683908e-2, 1.66665204e-1, 4.999999343e-1))
    p = builder.fadd(_fused(builder, p, builder.fmul(r, r), r), _constant(x, 1.0))
    exponent = builder.shl(builder.fptosi(k, _integers(x, 0).type), _integers(x, 23))
    power = builder.bitcast(builder.add(builder.bitcast(p, exponent.type), exponent), x.type)
    return builder.select(tiny, _constant(x, 0.0), power)


def _log(builder: Any, x: Any) -> Any:
    """Exponent and mantissa in [sqrt(1/2), sqrt(2)), and a polynomial of the latter less 1 (Cephes' logf).

    The two largest parts are added with their rounding error, so the result is nearly always the nearest number.
    """
    bits = builder.bitcast(x, _integers(x, 0).type)
    shifted = builder.sub(bits, _integers(x, 0x3F3504F3))  # of sqrt(1/2)
    k = builder.sitofp(builder.ashr(shifted, _integers(x, 23)), x.type)
    mantissa = builder.add(builder.and_(shifted, _integers(x, 0x7FFFFF)), _integers(x, 0x3F3504F3))
    r = builder.fsub(builder.bitcast(mantissa, x.type), _constant(x, 1.0))
    factors = (
        7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1,
        2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
    )  # fmt: skip
    square = builder.fmul(r, r)
    p = builder.fmul(_polynomial(builder, r, factors), builder.fmul(r, square))
    p = _fused(builder, k, _constant(x, -2.12194440e-4), p)
    p = _fused(builder, square, _constant(x, -0.5), p)
    whole = builder.fmul(k, _constant(x, LN2_HIGH))  # exact
    large = builder.fadd(whole, r)
    lost = builder.fsub(r, builder.fsub(large, whole))
    return builder.fadd(large, builder.fadd(p, lost))


def _binary(typed: Any) -> Any:
    @intrinsic
    def function(typing: Any, a: Any, b: Any) -> Any:
        return typed([a, b])

    return function


def _unary(typed: Any) -> Any:
    @intrinsic
    def function(typing: Any, a: Any) -> Any:
        return typed([a])

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
higher = _binary(_elementwise(_higher))
"""The larger numbers; those of `a` where `b` is NaN."""
exp = _unary(_elementwise(_exp))
"""e^a for a <= 88; 0 for a < -69."""
log = _unary(_elementwise(_log))
"""Natural logarithm of numbers above 1e-37."""
round_even = _unary(_elementwise(_round))
"""Nearest integers, halves to even."""


@intrinsic
def muladd(typing: Any, a: Any, b: Any, c: Any) -> Any:
    """`a * b + c`, rounded once if the processor can do so."""
    return _elementwise(_fused)([a, b, c])


def _reduction(name: str, start: list[float], both: Callable[..., Any]) -> Any:
    @intrinsic
    def function(typing: Any, a: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            found = reduce(partial(both, builder), split(builder, args[0]))
            first = [ir.Constant(FLOAT, value) for value in start]
            return _call(builder, f"llvm.vector.reduce.{name}.v{found.type.count}f32", FLOAT, [*first, found], LOOSE)

        return types.float32(a), generate

    return function


total = _reduction("fadd", [-0.0], lambda builder, a, b: builder.fadd(a, b))
"""Sum over a row."""
largest = _reduction("fmax", [], _higher)
"""Maximum over a row."""
