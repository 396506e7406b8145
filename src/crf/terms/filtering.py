"""What a pairwise term does to probabilities, compiled: for any number of dimensions, once for each width of rows."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..cpu.lattices.lattice import Topology, blur, clear_band, spread
from ..cpu.vectors.arithmetic import exp, largest, muladd, total
from ..cpu.vectors.jit import each, entry, inner
from ..cpu.vectors.simd import element, load, store

PARTS = 64  # of the points, in parallel loops


class Kernel(NamedTuple):
    """A lattice whose type is the same for any number of dimensions, and what its filter multiplies by."""

    bands: npt.NDArray[np.int64]  # this and the next five as in `Lattice`
    slots: npt.NDArray[np.uint32]
    owned: npt.NDArray[np.int64]
    further: npt.NDArray[np.int64]
    vertex: npt.NDArray[np.int32]
    topology: Topology
    weights: npt.NDArray[np.float32]  # (N, d + 1), barycentric
    before: npt.NDArray[np.float32]  # (N,) factors on Q
    after: npt.NDArray[np.float32]  # (N,) factors on the filtered Q


class Flow(NamedTuple):
    """Rows to work with, overwritten by every filter."""

    values: npt.NDArray[np.void]  # (L,) or more, sums over the points of a band, by slot; then blurred
    scratch: npt.NDArray[np.void]  # (B,) or more


@inner
def _splat_band(index, kernel, q, splatted):
    bands, slots, weights, before = kernel.bands, kernel.slots, kernel.weights, kernel.before
    band = spread(index, len(bands) - 1)
    clear_band(band, kernel.owned, kernel.further, splatted)
    for point in range(bands[band], bands[band + 1]):
        row = load(q, point) * before[point]
        for r in range(weights.shape[1]):
            slot = slots[point, r]
            store(splatted, slot, muladd(row, weights[point, r], load(splatted, slot)))


@inner
def _slice_band(index, kernel, blurred, gains, is_matrix, labels, scratch, unary, start, answer):
    bands, slots, vertex, weights, after = kernel.bands, kernel.slots, kernel.vertex, kernel.weights, kernel.after
    band = spread(index, len(bands) - 1)
    for point in range(bands[band], bands[band + 1]):
        row = load(blurred, vertex[slots[point, 0]]) * weights[point, 0]
        for r in range(1, weights.shape[1]):
            row = muladd(load(blurred, vertex[slots[point, r]]), weights[point, r], row)
        row = row * after[point]
        x = load(unary, point) if start else load(answer, point)
        if is_matrix:
            store(scratch, band, row)
            for label in range(labels):
                x = muladd(load(gains, label), element(scratch, band, label), x)
        else:
            x = muladd(row, load(gains, 0), x)
        store(answer, point, x)


@entry
def add_filtered(kernel, flow, gains, is_matrix, labels, q, unary, start, answer):
    """Add one term to the rows of all points: `answer` (or, to begin with, `unary`) plus gains K Q.

    Args:
        kernel: what to filter with.
        flow: rows to work with.
        gains: one row that holds a factor per label; or per label a row of what it adds to each label.
        is_matrix: whether `gains` are the latter.
        labels: how many numbers of a row are labels.
        q: (N,) rows, the probabilities.
        unary: (N,) rows.
        start: whether the sum begins with `unary`.
        answer: (N,) rows.
    """
    count = len(kernel.bands) - 1
    each(count, _splat_band, (kernel, q, flow.values))
    blur(kernel.topology, flow.values)
    each(count, _slice_band, (kernel, flow.values, gains, is_matrix, labels, flow.scratch, unary, start, answer))


@inner
def _softmax_part(part, x, q):
    for point in range(part * len(x) // PARTS, (part + 1) * len(x) // PARTS):
        row = load(x, point)
        row = exp(row - largest(row))
        store(q, point, row * (np.float32(1) / total(row)))


@entry
def softmax(x, q):
    """Rows of probabilities: e^x over its sum."""
    each(PARTS, _softmax_part, (x, q))


@inner
def _plane(label, numbers, planes):
    for point in range(planes.shape[1]):
        planes[label, point] = numbers[point, label]


@entry
def to_planes(numbers, planes):
    """Write rows, seen as numbers (N, W), to planes (C, N)."""
    each(len(planes), _plane, (numbers, planes))
