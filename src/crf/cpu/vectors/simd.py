"""Number rows as vector registers in Numba. A row is one element of an array; its width is part of the array's type.

Numba's own vectoriser must prove that arrays do not overlap, and cannot. Rows need no proof: `load`, arithmetic and
`store` become vector instructions of the processor's width. A row is a list of vectors of a power of two of lanes: 24
numbers are three of 8, since LLVM splits vectors of other widths into single numbers.
A function that uses rows is compiled and cached once for each width it is called with. Use rows only in a separate
function that a parallel loop calls: directly in the loop's body, Numba may move or drop a `store`.
"""

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
LANE = ir.IntType(32)


def rows(count: int, width: int) -> npt.NDArray[np.void]:
    """Uninitialised array of `count` rows of `width` float32; `.view(np.float32)` gives the numbers.

    It begins at a multiple of 64 bytes, so that rows of up to that size do not lie in two lines of the cache.
    """
    size = 4 * count * width
    memory = np.empty(size + 64, np.uint8)
    begin = -memory.ctypes.data % 64
    return memory[begin : begin + size].view(np.dtype([("row", np.float32, width)]))


class Row(types.Type):
    """`width` float32 in registers."""

    def __init__(self, width: int) -> None:
        self.width = width
        super().__init__(name=f"Row({width})")


@register_model(Row)
class _RowModel(models.PrimitiveModel):
    def __init__(self, manager: Any, row: Row) -> None:
        super().__init__(
            manager, row, ir.ArrayType(ir.VectorType(FLOAT, lanes(row.width)), row.width // lanes(row.width))
        )


def lanes(width: int) -> int:
    """Number of lanes of the vectors of which a row consists."""
    return width & -width


def split(builder: Any, row: Any) -> list[Any]:
    """The vectors of a row."""
    return [builder.extract_value(row, i) for i in range(row.type.count)]


def joined(builder: Any, parts: list[Any]) -> Any:
    """The row of some vectors."""
    row = ir.Constant(ir.ArrayType(parts[0].type, len(parts)), ir.Undefined)
    for i, part in enumerate(parts):
        row = builder.insert_value(row, part, i)
    return row


def _row_type(array: Any) -> Row:
    return Row(array.dtype.size // 4)


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any, index_type: Any) -> Any:
    """The address of a row of an array of rows, or of a number of an array of numbers."""
    index = context.cast(builder, index, index_type, types.intp)
    data = make_array(array_type)(context, builder, array).data
    numbers = builder.bitcast(data, FLOAT.as_pointer())
    size = 4 if array_type.dtype == types.float32 else array_type.dtype.size
    return builder.gep(numbers, [builder.mul(index, ir.Constant(INDEX, size // 4))])


def _read(builder: Any, pointer: Any, width: int) -> Any:
    """The vectors of a row."""
    kind = ir.VectorType(FLOAT, lanes(width))
    places = [builder.gep(pointer, [ir.Constant(INDEX, i)]) for i in range(0, width, kind.count)]
    return [builder.load(builder.bitcast(place, kind.as_pointer()), align=4) for place in places]


def _write(builder: Any, pointer: Any, parts: list[Any]) -> None:
    for i, part in enumerate(parts):
        place = builder.gep(pointer, [ir.Constant(INDEX, i * part.type.count)])
        builder.store(part, builder.bitcast(place, part.type.as_pointer()), align=4)


@intrinsic
def load(typing: Any, array: Any, index: Any) -> Any:
    """Row `index` of an array of rows; the index is not checked."""
    row = _row_type(array)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return joined(builder, _read(builder, _pointer(context, builder, array, args[0], args[1], index), row.width))

    return row(array, index), generate


def _fetch(builder: Any, pointer: Any) -> None:
    byte, flag = ir.IntType(8).as_pointer(), ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [byte, flag, flag, flag])
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
    builder.call(function, [builder.bitcast(pointer, byte), *(ir.Constant(flag, n) for n in (0, 3, 1))])


@intrinsic
def prefetch(typing: Any, array: Any, index: Any) -> Any:
    """Begin to read a row, or the line of the cache around a number, into the cache."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, array, args[0], args[1], index)
        size = 1 if array.dtype == types.float32 else _row_type(array).width
        for number in range(0, size, 16):
            _fetch(builder, builder.gep(pointer, [ir.Constant(INDEX, number)]))
        return context.get_dummy_value()

    return types.void(array, index), generate


@intrinsic
def load_at(typing: Any, numbers: Any, index: Any, like: Any) -> Any:
    """The row that begins at a number of a C-contiguous array of float32, as wide as the rows of `like`."""
    row = _row_type(like)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return joined(builder, _read(builder, _pointer(context, builder, numbers, args[0], args[1], index), row.width))

    return row(numbers, index, like), generate


@intrinsic
def store(typing: Any, array: Any, index: Any, value: Any) -> Any:
    """Write a row, or write one number into a whole row."""
    width = _row_type(array).width

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, array, args[0], args[1], index)
        _write(builder, pointer, widen(context, builder, value, args[2], width))
        return context.get_dummy_value()

    return types.void(array, index, value), generate


@intrinsic
def store_at(typing: Any, numbers: Any, index: Any, value: Any) -> Any:
    """Write a row from a number of a C-contiguous array of float32 on."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        _write(builder, _pointer(context, builder, numbers, args[0], args[1], index), split(builder, args[2]))
        return context.get_dummy_value()

    return types.void(numbers, index, value), generate


@intrinsic
def number_at(typing: Any, numbers: Any, index: Any) -> Any:
    """Number `index` of a C-contiguous array of any shape, as it lies in memory; the index is not checked."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = context.cast(builder, args[1], index, types.intp)
        data = make_array(numbers)(context, builder, args[0]).data
        return builder.load(builder.gep(data, [place]))

    return numbers.dtype(numbers, index), generate


@intrinsic
def turn(typing: Any, source: Any, index: Any, target: Any, place: Any) -> Any:
    """Transpose W rows of `source` from `index` on into `target` from `place` on; W is their width, a power of two."""
    width = _row_type(source).width

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, source, args[0], args[1], index)
        found = [_read(builder, builder.gep(pointer, [ir.Constant(INDEX, width * i)]), width)[0] for i in range(width)]
        step = 1
        while step < width:
            turned = list(found)
            for i in (i for i in range(width) if not i & step):
                pair = found[i], found[i + step]
                for number, first in ((i, 0), (i + step, step)):
                    order = [(j & ~step) + first + (width if j & step else 0) for j in range(width)]
                    mask = ir.Constant(ir.VectorType(LANE, width), order)
                    turned[number] = builder.shuffle_vector(*pair, mask)
            found, step = turned, 2 * step
        pointer = _pointer(context, builder, target, args[2], args[3], place)
        for i, row in enumerate(found):
            _write(builder, builder.gep(pointer, [ir.Constant(INDEX, width * i)]), [row])
        return context.get_dummy_value()

    return types.void(source, index, target, place), generate


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


def widen(context: Any, builder: Any, kind: Any, value: Any, width: int) -> list[Any]:
    """The vectors of a row, or of one number copied to all lanes."""
    if isinstance(kind, Row):
        return split(builder, value)
    count = lanes(width)
    undefined = ir.Constant(ir.VectorType(FLOAT, count), ir.Undefined)
    number = context.cast(builder, value, kind, types.float32)
    first = builder.insert_element(undefined, number, ir.Constant(LANE, 0))
    return [builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(LANE, count), [0] * count))] * (
        width // count
    )
