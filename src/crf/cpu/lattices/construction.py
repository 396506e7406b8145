"""Construction of a permutohedral lattice on the CPU; `permutohedral` explains the lattice.

Each band of points has its own table of vertices; `joining` joins the tables.
"""

import numpy as np
import numpy.typing as npt

from ...permutohedral import alpha, scales, strides
from ..vectors.arithmetic import less, round_even
from ..vectors.jit import each, entry, inner
from ..vectors.simd import element, load, load_at, rows, store
from .joining import join
from .lattice import Lattice, normalise, spread

LANES = 16  # number of points whose simplices are found together; bands begin at multiples of it
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
    d, given = features.shape
    points = given + origin
    features = np.ascontiguousarray(features)
    rest = np.zeros((d, LANES), np.float32)  # the points after the last full block
    rest[:, : given % LANES] = features[:, given - given % LANES :]
    factors = strides(np.maximum(features.max(axis=1), -features.min(axis=1)).tolist(), any_size=any_size)
    factors[d] = 0  # the last coordinate follows from the others
    bands = np.linspace(0, given, _count_bands(given) + 1).astype(np.int64) // LANES * LANES
    bands[-1] = points
    weights = rows(points, d + 1)
    numbers = weights.view(np.float32).reshape(points, d + 1)
    slots = np.empty((points, d + 1), np.uint32)
    names = np.empty(points * (d + 1), np.int64)
    counts = np.empty(len(bands) - 1, np.int64)
    lifting = np.array(scales(d), np.float32)
    _locate(features.reshape(-1), rest.reshape(-1), lifting, factors, bands, numbers, slots, names, counts)
    owned, further, vertex, topology = join(bands, counts, names, factors, slots)
    weights, slots, bands[-1] = weights[:given], slots[:given], given
    norm = np.empty(given, np.float32)
    lattice = Lattice(bands, weights, slots, owned, further, vertex, topology, norm)
    of_points = bands, owned, further, slots, numbers[:given], vertex
    normalise(*of_points, topology, np.float32(alpha(d)), norm, rows(len(vertex), 1))
    return lattice


def _count_bands(points: int) -> int:
    """Number of bands: a power of two, so that the usual numbers of threads divide it."""
    return 1 << min(6, max(0, (points // 8192).bit_length() - 1))


@inner
def _find(table, shift, name):
    """Index in a table of 2^(64 - shift) pairs of the pair (name, .), or of the free pair (., -1) for it."""
    place = np.int64(np.uint64(name * np.int64(-7046029254386353131)) >> shift)  # Fibonacci hashing
    while table[place, 1] >= 0 and table[place, 0] != name:
        place = (place + 1) & (len(table) - 1)
    return place


@inner
def _table(names, count, bits):
    """A table of 2^bits pairs with the first `count` of `names` in it."""
    table, shift = np.empty((1 << bits, 2), np.int64), np.uint64(64 - bits)
    table[:, 1] = -1
    for i in range(count):
        place = _find(table, shift, names[i])
        table[place, 0], table[place, 1] = names[i], i
    return table, shift


@inner
def _simplices(features, begin, step, scale, lifted, remainder, rank, offset):
    """The simplices in which 16 points lie (Adams et al. 2010, p. 5): rows of lanes, one per coordinate.

    `features` holds those of the points from `begin` on, and each further dimension `step` numbers later.
    Fills `remainder` (coordinates of vertex 0), `rank` (0..d, place of a coordinate in falling order of its distance)
    and `offset` (distance from the remainder over d + 1).
    """
    d = len(scale)
    up = np.float32(d + 1)
    down = np.float32(1) / up
    store(lifted, 0, np.float32(0))
    for j in range(d, 0, -1):
        part = load_at(features, (j - 1) * step + begin, lifted) * scale[j - 1]
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
def _locate(features, rest, scale, factors, bands, weights, slots, names, counts):
    """Weights and vertices of all points; each band's part of `names` begins at its first point times d + 1."""
    each(len(counts), _locate_band, (features, rest, scale, factors, bands, weights, slots, names, counts))


@inner
def _locate_band(index, features, rest, scale, factors, bands, weights, slots, names, counts):
    band = spread(index, len(counts))
    own = names[bands[band] * len(factors) :]
    scratch = np.empty((4, len(factors)), LANE_ROW)
    point, found, bits = bands[band], 0, 10
    while point < bands[band + 1]:
        bits += 2
        table, shift = _table(own, found, bits)
        point, found = _locate_points(
            features, rest, scale, factors, point, bands[band + 1], found, scratch, weights, slots, own, table, shift
        )
    counts[band] = found


@inner
def _locate_points(features, rest, scale, factors, begin, end, found, scratch, weights, slots, names, table, shift):
    """Locate points from `begin` until all are done or the table is half full; gives the next point and vertex."""
    d = len(scale)
    step, count = factors.sum(), len(features) // d
    remainder, rank, offset = scratch[1], scratch[2], scratch[3]
    order, ranked = np.empty(d + 1, np.int64), np.empty(d + 1, np.float32)
    for point in range(begin, end):
        if 2 * (found + d + 1) > len(table):
            return point, found
        lane = point % LANES
        if lane == 0 or point == begin:
            whole = point - lane + LANES <= count
            source, first, apart = (features, point - lane, count) if whole else (rest, 0, LANES)
            _simplices(source, first, apart, scale, scratch[0], remainder, rank, offset)
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
            place = _find(table, shift, name)
            if table[place, 1] < 0:
                table[place, 0], table[place, 1], names[found] = name, found, name
                found += 1
            slots[point, r] = table[place, 1]
    return end, found
