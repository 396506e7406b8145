"""Joins the bands of points of a lattice: numbers the vertices, and finds which lie side by side along each axis."""

import numpy as np
import numpy.typing as npt

from ..vectors.jit import each, entry, inner
from .lattice import BEGINS, CHUNKS, Topology


def join(
    bands: npt.NDArray[np.int64],
    counts: npt.NDArray[np.int64],
    names: npt.NDArray[np.int64],
    factors: npt.NDArray[np.int64],
    slots: npt.NDArray[np.uint32],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int32], Topology]:
    """Number vertices in the order in which bands meet them, and slots as `Lattice` says.

    Args:
        bands: (B + 1,) first point of each band.
        counts: (B,) number of vertices that each band meets.
        names: of these vertices, a band's from its first point times d + 1 on.
        factors: (d + 1,) by which coordinates are multiplied to give names, the last 0.
        slots: (N, d + 1) number of the vertex in its band; overwritten by the number of the slot.

    Returns:
        `owned`, `further`, `vertex` and `topology` of `Lattice`.
    """
    begins = np.concatenate(([0], counts.cumsum()))
    starts = bands[:-1] * len(factors)
    compact = np.concatenate([names[start : start + count] for start, count in zip(starts, counts, strict=True)])
    return tuple(_join(bands, begins, compact, np.argsort(compact), factors, slots))


@entry
def _join(bands, begins, names, order, factors, slots):
    axes, total = len(factors), begins[-1]
    owner, unique_names, unique = _owners(names, order)
    slot_of, vertex = np.empty(total, np.int32), np.empty(total, np.int32)
    owned, further = np.empty(len(begins), np.int64), np.empty(len(begins), np.int64)
    count, last = 0, len(unique)
    for band in range(len(begins) - 1):
        owned[band], further[band] = count, last
        for slot in range(begins[band], begins[band + 1]):
            if owner[slot] == slot:
                slot_of[slot], vertex[count] = count, count
                count += 1
            else:
                slot_of[slot], vertex[last] = last, slot_of[owner[slot]]
                last += 1
    owned[-1], further[-1] = count, last
    for i in range(count):
        unique[i] = slot_of[unique[i]]
    each(len(begins) - 1, _rename, (bands, begins, slot_of, slots))
    shared, first, members = _members(vertex, count)
    following, followed = np.empty((axes, count), np.int32), np.zeros((axes, count), np.uint8)
    walks, edges = np.empty((axes, count + 1), np.int32), np.empty((axes, CHUNKS + 1), np.int64)
    each(axes, _find_chains, (unique_names, unique, factors, following, followed, walks, edges))
    return owned, further, vertex, Topology(shared, first, members, walks, edges)


@inner
def _owners(names, order):
    """Per slot the first slot with the same name; the names in rising order, each once; and their first slots."""
    owner, unique_names, unique = np.empty(len(names), np.int32), np.empty_like(names), np.empty(len(names), np.int32)
    count, i = 0, 0
    while i < len(names):
        end, least, name = i, order[i], names[order[i]]
        while end < len(names) and names[order[end]] == name:
            least = min(least, order[end])
            end += 1
        for k in range(i, end):
            owner[order[k]] = least
        unique_names[count], unique[count] = name, least
        count, i = count + 1, end
    return owner, unique_names[:count], unique[:count]


@inner
def _rename(band, bands, begins, slot_of, slots):
    for point in range(bands[band], bands[band + 1]):
        for r in range(slots.shape[1]):
            slots[point, r] = slot_of[begins[band] + slots[point, r]]


@inner
def _members(vertex, count):
    """The vertices with slots of several bands, where each one's begin, and these slots in rising order."""
    slots = np.zeros(count, np.int32)
    for slot in range(count, len(vertex)):
        slots[vertex[slot]] += 1
    several = 0
    for v in range(count):
        several += slots[v] > 0
    shared = np.empty(several, np.int32)
    first, members = np.zeros(len(shared) + 1, np.int32), np.empty(len(vertex) - count, np.int32)
    found = 0
    for v in range(count):
        if slots[v] > 0:
            shared[found], first[found + 1] = v, first[found] + slots[v]
            slots[v] = first[found]  # from here on, where its next slot goes
            found += 1
    for slot in range(count, len(vertex)):
        members[slots[vertex[slot]]] = slot
        slots[vertex[slot]] += 1
    return shared, first, members


@inner
def _find_chains(axis, names, vertices, factors, following, followed, walks, edges):
    """Chains of vertices along an axis; a neighbour's name is the vertex's plus a constant.

    `names` rise, and so do the neighbours' names, except where they wrap around; so one passage over both is enough.
    Unsigned integers may wrap; Numba tells the compiler that a sum of signed ones does not.
    """
    step, other = np.uint64(len(factors) * factors[axis] - factors.sum()), 0
    name = np.int64(-(2**63))
    for i in range(len(names)):
        before, name = name, np.int64(np.uint64(names[i]) + step)
        if name < before:
            other = 0
        while other < len(names) and names[other] < name:
            other += 1
        if other < len(names) and names[other] == name:
            following[axis, vertices[i]] = vertices[other]
            followed[axis, vertices[other]] = 1
        else:
            following[axis, vertices[i]] = -1
    _walk(following[axis], followed[axis], walks[axis], edges[axis])


@inner
def _walk(following, followed, walk, edges):
    """Chains of two vertices and more, one after the other, and parts of about the same size that hold whole ones."""
    last = 0
    for v in range(len(following)):
        if followed[v] == 0 and following[v] >= 0:
            walk[last] = v | BEGINS
            at, last = following[v], last + 1
            while at >= 0:
                walk[last] = at
                at, last = following[at], last + 1
    walk[last] = BEGINS  # after the last one
    for chunk in range(CHUNKS + 1):
        edge = chunk * last // CHUNKS
        while walk[edge] >= 0:
            edge += 1
        edges[chunk] = edge
