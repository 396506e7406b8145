"""A permutohedral lattice on the CPU, and the blur on it; `construction` builds it.

The points are cut into bands; the number of bands depends only on the number of points. Each band keeps the values of
its vertices in its own rows, called slots. So bands need not wait for each other, and sums have the same order for any
number of threads. The slots of a vertex are added up between splatting and blurring.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .jit import each, entry, inner
from .simd import element, load, store

CHUNKS = 64  # of vertices, in parallel loops


class Lattice(NamedTuple):
    """A lattice over N points with M vertices and L slots."""

    bands: npt.NDArray[np.int64]  # (B + 1,) first point of each band
    weights: npt.NDArray[np.void]  # (N,) rows of d + 1, barycentric
    slots: npt.NDArray[np.uint32]  # (N, d + 1) slots of a point's vertices
    band_slots: npt.NDArray[np.int64]  # (B + 1,) first slot of each band
    vertex: npt.NDArray[np.int32]  # (L,) vertex of a slot
    first: npt.NDArray[np.int32]  # (M + 1,) where the slots of a vertex begin in `members`
    members: npt.NDArray[np.int32]  # (L,) slots, ordered by vertex
    neighbours: npt.NDArray[np.int32]  # (d + 1, M, 2) along each axis; M if there is no neighbour
    norm: npt.NDArray[np.float32]  # (N,) 1 / sqrt(K 1), of the symmetric normalisation


@inner
def spread(i, count):
    """A permutation of 0..count - 1, a power of two, that gives each thread easy and hard parts of the image."""
    return i * 7 % count


@inner
def _collect(chunk, first, members, splatted, values):
    count = len(first) - 1
    for v in range(chunk * count // CHUNKS, (chunk + 1) * count // CHUNKS):
        row = load(splatted, members[first[v]])
        for i in range(first[v] + 1, first[v + 1]):
            row = row + load(splatted, members[i])
        store(values, v, row)


@inner
def _blur_axis(chunk, neighbours, values, blurred):
    count = len(neighbours)
    for v in range(chunk * count // CHUNKS, (chunk + 1) * count // CHUNKS):
        sides = load(values, neighbours[v, 0]) + load(values, neighbours[v, 1])
        store(blurred, v, load(values, v) + sides * np.float32(0.5))


@inner
def blur(first, members, neighbours, splatted, values, spare):
    """Add up the slots of each vertex and blur along every axis; the result is in `values` or in `spare`.

    Args:
        first: see `Lattice`.
        members: see `Lattice`.
        neighbours: see `Lattice`.
        splatted: (L,) rows.
        values: (M + 1,) rows, overwritten.
        spare: (M + 1,) rows, overwritten.
    """
    count = len(first) - 1
    store(values, count, np.float32(0))  # the value of a missing neighbour
    store(spare, count, np.float32(0))
    each(CHUNKS, _collect, (first, members, splatted, values))
    for axis in range(len(neighbours)):
        each(CHUNKS, _blur_axis, (neighbours[axis], values, spare))
        values, spare = spare, values
    return values


@inner
def _splat_ones(band, bands, edges, slots, weights, splatted):
    for slot in range(edges[band], edges[band + 1]):
        store(splatted, slot, np.float32(0))
    for point in range(bands[band], bands[band + 1]):
        for r in range(weights.shape[1]):
            slot = slots[point, r]
            store(splatted, slot, element(splatted, slot, 0) + weights[point, r])


@inner
def _slice_norm(band, bands, slots, weights, vertex, blurred, scale, norm):
    for point in range(bands[band], bands[band + 1]):
        received = np.float32(0)
        for r in range(weights.shape[1]):
            received += weights[point, r] * element(blurred, vertex[slots[point, r]], 0)
        norm[point] = np.float32(1) / np.sqrt(received * scale + np.float32(1e-20))


@entry
def normalise(bands, edges, slots, weights, vertex, first, members, neighbours, scale, norm, splatted, values, spare):
    """Fill `norm`: 1 / sqrt(filtered ones)."""
    count = len(bands) - 1
    each(count, _splat_ones, (bands, edges, slots, weights, splatted))
    blurred = blur(first, members, neighbours, splatted, values, spare)
    each(count, _slice_norm, (bands, slots, weights, vertex, blurred, scale, norm))
