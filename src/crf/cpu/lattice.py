"""A permutohedral lattice on the CPU, and the blur on it; `src.crf.cpu.construction` builds it.

Points are cut into bands, whose number depends on their count alone. A band keeps its values for its vertices in rows
of its own, its slots, so that bands need not wait for each other and sums have one order whatever the number of
threads. Slots of the same vertex are added up between splatting and blurring.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit, prange

from src.crf.cpu.simd import element, load, store, width_of

CHUNKS = 64  # of vertices, in parallel loops


class Lattice(NamedTuple):
    """A lattice over N points with M vertices and L slots."""

    bands: npt.NDArray[np.int64]  # (B + 1,) first point of each band
    weights: npt.NDArray[np.void]  # (N,) rows of d + 1, barycentric
    slots: npt.NDArray[np.uint32]  # (N, d + 1) slot of each of a point's vertices
    band_slots: npt.NDArray[np.int64]  # (B + 1,) first slot of each band
    vertex: npt.NDArray[np.int32]  # (L,) vertex of a slot
    first: npt.NDArray[np.int32]  # (M + 1,) where a vertex's slots begin in
    members: npt.NDArray[np.int32]  # (L,) slots by vertex
    neighbours: npt.NDArray[np.int32]  # (d + 1, M, 2) along each axis; M where there is none
    norm: npt.NDArray[np.float32]  # (N,) 1 / sqrt(K 1), of the symmetric normalisation


@njit(nogil=True, cache=True)
def spread(i, count):
    """A permutation of 0..count - 1, a power of two, that gives each thread easy and hard parts of the image."""
    return i * 7 % count


@njit(nogil=True, cache=True)
def _collect(first, members, splatted, values, begin, end):
    for v in range(begin, end):
        row = load(splatted, members[first[v]])
        for i in range(first[v] + 1, first[v + 1]):
            row = row + load(splatted, members[i])
        store(values, v, row)


@njit(nogil=True, cache=True)
def _blur_axis(neighbours, values, blurred, begin, end):
    for v in range(begin, end):
        sides = load(values, neighbours[v, 0]) + load(values, neighbours[v, 1])
        store(blurred, v, load(values, v) + sides * np.float32(0.5))


@njit(nogil=True, cache=True, parallel=True)
def blur(lattice, splatted, values, spare):
    """Add up the slots of each vertex and blur along every axis; the result is in one of `values` and `spare`.

    Args:
        lattice: of M vertices and L slots.
        splatted: (L,) rows.
        values: (M + 1,) rows, overwritten.
        spare: (M + 1,) rows, overwritten.
    """
    count = len(lattice.first) - 1
    store(values, count, np.float32(0))  # what a missing neighbour holds
    store(spare, count, np.float32(0))
    for chunk in prange(CHUNKS):
        begin, end = chunk * count // CHUNKS, (chunk + 1) * count // CHUNKS
        _collect(lattice.first, lattice.members, splatted, values, begin, end)
    for axis in range(len(lattice.neighbours)):
        for chunk in prange(CHUNKS):
            begin, end = chunk * count // CHUNKS, (chunk + 1) * count // CHUNKS
            _blur_axis(lattice.neighbours[axis], values, spare, begin, end)
        values, spare = spare, values
    return values


@njit(nogil=True, cache=True)
def _splat_ones(slots, weights, splatted, begin, end, first_slot, last_slot):
    for slot in range(first_slot, last_slot):
        store(splatted, slot, np.float32(0))
    for point in range(begin, end):
        for r in range(width_of(weights)):
            slot = slots[point, r]
            store(splatted, slot, element(splatted, slot, 0) + element(weights, point, r))


@njit(nogil=True, cache=True)
def _slice_norm(slots, weights, vertex, blurred, scale, norm, begin, end):
    for point in range(begin, end):
        received = np.float32(0)
        for r in range(width_of(weights)):
            received += element(weights, point, r) * element(blurred, vertex[slots[point, r]], 0)
        norm[point] = np.float32(1) / np.sqrt(received * scale + np.float32(1e-20))


@njit(nogil=True, cache=True, parallel=True)
def normalise(lattice, scale, norm, splatted, values, spare):
    """Fill `norm`: one over the root of what the filter makes of ones."""
    bands, edges = lattice.bands, lattice.band_slots
    for b in prange(len(bands) - 1):
        _splat_ones(lattice.slots, lattice.weights, splatted, bands[b], bands[b + 1], edges[b], edges[b + 1])
    blurred = blur(lattice, splatted, values, spare)
    for b in prange(len(bands) - 1):
        _slice_norm(lattice.slots, lattice.weights, lattice.vertex, blurred, scale, norm, bands[b], bands[b + 1])
