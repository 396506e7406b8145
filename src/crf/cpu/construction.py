"""Construction of a permutohedral lattice on the CPU; `permutohedral` explains the lattice.

Each band of points has its own table of vertices; the tables are joined afterwards.
"""

import numpy as np
import numpy.typing as npt

from ..permutohedral import alpha, scales, strides
from .jit import each, entry, inner
from .lattice import CHUNKS, Lattice, normalise, spread
from .simd import element, less, load, round_even, rows, store

LANES = 16  # number of points whose simplices are found together
LANE_ROW = rows(0, LANES).dtype


def build(features: npt.NDArray[np.float32], *, origin: bool = False, any_size: bool = False) -> Lattice:
    """Lattice of a Gaussian filter of unit standard deviation.

    Args:
        features: (d, N) float32, in units of the standard deviations.
        origin: whether the vertices around the origin exist, without a point there. So it is in the reference if N is
            no multiple of four: it fills up its last group of points with zeros.
        any_size: whether names of vertices may be hashed where there are too many to number.

    Raises:
        CRFError: the standard deviations are so small that the vertices cannot be named.
    """
    d, points = features.shape
    given, points = points, points + origin
    blocks = rows(d * -(-points // LANES), LANES)
    padded = blocks.view(np.float32).reshape(d, -1)
    padded[:, :given] = features
    padded[:, given:] = 0
    factors = strides(np.abs(features).max(axis=1).tolist(), any_size=any_size)
    factors[d] = 0  # the last coordinate follows from the others
    bands = np.linspace(0, points, _count_bands(points) + 1).astype(np.int64)
    weights = rows(points, d + 1)
    numbers = weights.view(np.float32).reshape(points, d + 1)
    slots = np.empty((points, d + 1), np.uint32)
    names = np.empty(points * (d + 1), np.int64)
    counts = np.empty(len(bands) - 1, np.int64)
    _locate(blocks, np.array(scales(d), np.float32), factors, bands, numbers, slots, names, counts)
    band_slots = np.concatenate(([0], counts.cumsum()))
    vertex, neighbours, first, members = _connect(bands, band_slots, names, factors, slots)
    weights, slots, bands[-1] = weights[:given], slots[:given], given
    numbers = numbers[:given]
    norm = np.empty(given, np.float32)
    lattice = Lattice(bands, weights, slots, band_slots, vertex, first, members, neighbours, norm)
    spare = rows(len(vertex), 1), rows(len(first), 1), rows(len(first), 1)
    scale = np.float32(alpha(d))
    normalise(bands, band_slots, slots, numbers, vertex, first, members, neighbours, scale, norm, *spare)
    return lattice


def _count_bands(points: int) -> int:
    """Number of bands: a power of two, so that the usual numbers of threads divide it."""
    return 1 << min(6, max(0, (points // 8192).bit_length() - 1))


@inner
def _find(names, ids, shift, name):
    """Index of `name`, or of the free place for it, in an open-addressing table of 2^(64 - shift) places."""
    place = np.int64(np.uint64(name * np.int64(-7046029254386353131)) >> shift)  # Fibonacci hashing
    while ids[place] >= 0 and names[place] != name:
        place = (place + 1) & (len(ids) - 1)
    return place


@inner
def _table(names, count, bits):
    """A table of 2^bits places with the first `count` of `names` in it."""
    table_names, table_ids = np.empty(1 << bits, np.int64), np.empty(1 << bits, np.int32)
    table_ids[:] = -1
    shift = np.uint64(64 - bits)
    for i in range(count):
        place = _find(table_names, table_ids, shift, names[i])
        table_names[place], table_ids[place] = names[i], i
    return table_names, table_ids, shift


@inner
def _simplices(blocks, count, block, scale, lifted, remainder, rank, offset):
    """The simplices in which the 16 points of a block lie (Adams et al. 2010, p. 5): rows of lanes, one per coordinate.

    Fills `remainder` (coordinates of vertex 0), `rank` (0..d, place of a coordinate in falling order of its distance)
    and `offset` (distance from the remainder over d + 1).
    """
    d = len(scale)
    up = np.float32(d + 1)
    down = np.float32(1) / up
    store(lifted, 0, np.float32(0))
    for j in range(d, 0, -1):
        part = load(blocks, (j - 1) * count + block) * scale[j - 1]
        store(lifted, j, load(lifted, 0) - part * np.float32(j))
        store(lifted, 0, load(lifted, 0) + part)
    excess = load(lifted, 0) * np.float32(0)
    for i in range(d + 1):
        nearest = round_even(load(lifted, i) * down)
        store(remainder, i, nearest * up)
        excess = excess + nearest
        store(rank, i, np.float32(0))
        store(offset, i, load(lifted, i) - load(remainder, i))
    for i in range(d):
        for j in range(i + 1, d + 1):
            behind = less(load(offset, i), load(offset, j))
            store(rank, i, load(rank, i) + behind)
            store(rank, j, load(rank, j) + (np.float32(1) - behind))
    for i in range(d + 1):  # if the coordinates do not sum to zero: move back onto the plane
        place = load(rank, i) + excess
        shift = (less(place, np.float32(0)) - less(np.float32(d), place)) * up
        store(rank, i, place + shift)
        store(remainder, i, load(remainder, i) + shift)
        store(offset, i, (load(lifted, i) - load(remainder, i)) * down)


@entry
def _locate(blocks, scale, factors, bands, weights, slots, names, counts):
    """Weights and vertices of all points; each band's part of `names` begins at its first point times d + 1."""
    each(len(counts), _locate_band, (blocks, scale, factors, bands, weights, slots, names, counts))


@inner
def _locate_band(index, blocks, scale, factors, bands, weights, slots, names, counts):
    band = spread(index, len(counts))
    own = names[bands[band] * len(factors) :]
    scratch = np.empty((4, len(factors)), LANE_ROW)
    point, found, bits = bands[band], 0, 11
    while point < bands[band + 1]:
        bits += 2
        table = _table(own, found, bits)
        point, found = _locate_points(
            blocks, scale, factors, point, bands[band + 1], found, scratch, weights, slots, own, *table
        )
    counts[band] = found


@inner
def _locate_points(
    blocks, scale, factors, begin, end, found, scratch, weights, slots, names, table_names, table_ids, shift
):
    """Locate points from `begin` until all are done or the table is a quarter full; gives the next point and vertex."""
    d = len(scale)
    step = factors.sum()
    remainder, rank, offset = scratch[1], scratch[2], scratch[3]
    order, ranked = np.empty(d + 1, np.int64), np.empty(d + 1, np.float32)
    for point in range(begin, end):
        if 4 * (found + d + 1) > len(table_ids):
            return point, found
        lane = point % LANES
        if lane == 0 or point == begin:
            _simplices(blocks, len(blocks) // d, point // LANES, scale, scratch[0], remainder, rank, offset)
        name = np.int64(0)
        for i in range(d + 1):
            place = np.int64(element(rank, i, lane))
            order[place] = i
            ranked[place] = element(offset, i, lane)
            name += np.int64(element(remainder, i, lane)) * factors[i]
        for r in range(d + 1):
            if r == 0:
                weights[point, 0] = ranked[d] + (np.float32(1) - ranked[0])
            else:
                weights[point, r] = ranked[d - r] - ranked[d - r + 1]
                name += step - (d + 1) * factors[order[d - r + 1]]
            place = _find(table_names, table_ids, shift, name)
            if table_ids[place] < 0:
                table_names[place], table_ids[place], names[found] = name, found, name
                found += 1
            slots[point, r] = table_ids[place]
    return end, found


@entry
def _connect(bands, band_slots, names, factors, slots):
    """Number the vertices over all bands, find their neighbours and slots, and make `slots` global."""
    axes = len(factors)
    total = band_slots[-1]
    table = _table(names, 0, 2 + int(np.log2(total)))
    table_names, table_ids, shift = table
    vertex, vertex_names = np.empty(total, np.int32), np.empty(total, np.int64)
    count = 0
    for band in range(len(bands) - 1):
        for slot in range(band_slots[band], band_slots[band + 1]):
            name = names[bands[band] * axes + slot - band_slots[band]]
            place = _find(table_names, table_ids, shift, name)
            if table_ids[place] < 0:
                table_names[place], table_ids[place], vertex_names[count] = name, count, name
                count += 1
            vertex[slot] = table_ids[place]
    neighbours = np.empty((axes, count, 2), np.int32)
    neighbours[:] = count
    each(CHUNKS, _find_neighbours, (vertex_names[:count], factors, neighbours, table_names, table_ids, shift))
    each(len(bands) - 1, _make_global, (bands, band_slots, slots))
    first, members = _members(vertex, count)
    return vertex, neighbours, first, members


@inner
def _find_neighbours(chunk, names, factors, neighbours, table_names, table_ids, shift):
    axes, count, step = len(factors), len(names), factors.sum()
    for v in range(chunk * count // CHUNKS, (chunk + 1) * count // CHUNKS):
        for axis in range(axes):
            place = _find(table_names, table_ids, shift, names[v] - step + axes * factors[axis])
            other = table_ids[place]
            if other >= 0:
                neighbours[axis, v, 0] = other
                neighbours[axis, other, 1] = v


@inner
def _make_global(band, bands, band_slots, slots):
    for point in range(bands[band], bands[band + 1]):
        for r in range(slots.shape[1]):
            slots[point, r] += np.uint32(band_slots[band])


@inner
def _members(vertex, count):
    """The slots of each vertex in rising order, those of vertex v from `first[v]` on."""
    first, members = np.zeros(count + 1, np.int32), np.empty(len(vertex), np.int32)
    for slot in range(len(vertex)):
        first[vertex[slot] + 1] += 1
    for v in range(count):
        first[v + 1] += first[v]
    at = first.copy()
    for slot in range(len(vertex)):
        members[at[vertex[slot]]] = slot
        at[vertex[slot]] += 1
    return first, members
