"""A permutohedral lattice on the CPU, and the blur on it; `construction` builds it.

The points are cut into bands; the number of bands depends only on the number of points. A band splats into rows of its
own, called slots, so bands need not wait for each other, and sums have the same order for any number of threads. The
band that is the first to meet a vertex uses the vertex's own row; slots of later bands are added to it before the blur.

Along an axis of the lattice, vertices form chains. The blur walks along them and replaces values in place: it reads
and writes each once. Vertices without a neighbour keep their values and are in no chain.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..vectors.arithmetic import less, muladd
from ..vectors.jit import each, entry, inner
from ..vectors.simd import element, load, prefetch, store

AHEAD = 24  # rows that the blur begins to fetch before it needs them
CHUNKS = 64  # of shared vertices and of walks, in parallel loops
BEGINS = np.int32(-(2**31))  # this bit marks the first vertex of a chain
INDEX = np.int32(2**31 - 1)


class Topology(NamedTuple):
    """How rows hang together, for M vertices and L slots; the first M slots are the vertices' own rows."""

    shared: npt.NDArray[np.int32]  # (S,) vertices with further slots
    first: npt.NDArray[np.int32]  # (S + 1,) where these begin in `members`
    members: npt.NDArray[np.int32]  # (L - M,) slots, ordered by vertex
    walks: npt.NDArray[np.int32]  # (d + 1, M + 1) along each axis, one chain of vertices after the other
    edges: npt.NDArray[np.int64]  # (d + 1, CHUNKS + 1) parts of a walk that hold whole chains


class Lattice(NamedTuple):
    """A lattice over N points with M vertices and L slots."""

    bands: npt.NDArray[np.int64]  # (B + 1,) first point of each band
    weights: npt.NDArray[np.void]  # (N,) rows of d + 1, barycentric
    slots: npt.NDArray[np.uint32]  # (N, d + 1) slots of a point's vertices
    owned: npt.NDArray[np.int64]  # (B + 1,) first vertex that a band meets first
    further: npt.NDArray[np.int64]  # (B + 1,) first slot of a band's other vertices, in M..L
    vertex: npt.NDArray[np.int32]  # (L,) vertex of a slot
    topology: Topology
    norm: npt.NDArray[np.float32]  # (N,) 1 / sqrt(K 1), of the symmetric normalisation


@inner
def spread(i, count):
    """A permutation of 0..count - 1, a power of two, that gives each thread easy and hard parts of the image."""
    return i * 7 % count


@inner
def _collect(chunk, shared, first, members, values):
    for i in range(chunk * len(shared) // CHUNKS, (chunk + 1) * len(shared) // CHUNKS):
        row = load(values, shared[i])
        for k in range(first[i], first[i + 1]):
            row = row + load(values, members[k])
        store(values, shared[i], row)


@inner
def _blur_chains(chunk, walk, edges, values):
    """Add half of both neighbours, rounded as the reference does; finite values beyond a chain count nothing."""
    if edges[chunk] < edges[chunk + 1]:
        place = np.int64(walk[edges[chunk]] & INDEX)
        here = load(values, place)
        before, share, last = less(here, here), np.float32(0), edges[chunk + 1]
        for i in range(edges[chunk] + 1, edges[chunk + 1] + 1):
            following = np.int64(walk[i] & INDEX)
            prefetch(values, walk[min(i + AHEAD, last)] & INDEX)
            after, passed = load(values, following), np.float32(0.5) if walk[i] >= 0 else np.float32(0)
            store(values, place, here + muladd(after, passed, before * share))
            before, here, share, place = here, after, passed, following


@inner
def blur(topology, values):
    """Add up the slots of each vertex and blur along every axis, in place.

    Args:
        topology: see `Topology`.
        values: (L,) rows, or more.
    """
    each(CHUNKS, _collect, (topology.shared, topology.first, topology.members, values))
    for axis in range(len(topology.walks)):
        each(CHUNKS, _blur_chains, (topology.walks[axis], topology.edges[axis], values))


@inner
def clear_band(band, owned, further, values):
    """Write zeros to the slots of a band."""
    for slot in range(owned[band], owned[band + 1]):
        store(values, slot, np.float32(0))
    for slot in range(further[band], further[band + 1]):
        store(values, slot, np.float32(0))


@inner
def _splat_ones(band, bands, owned, further, slots, weights, splatted):
    clear_band(band, owned, further, splatted)
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
def normalise(bands, owned, further, slots, weights, vertex, topology, scale, norm, values):
    """Fill `norm`: 1 / sqrt(filtered ones)."""
    count = len(bands) - 1
    each(count, _splat_ones, (bands, owned, further, slots, weights, values))
    blur(topology, values)
    each(count, _slice_norm, (bands, slots, weights, vertex, values, scale, norm))
