"""Planes of labels (C, N) before and after the iterations, with all threads."""

import numpy as np

from .vectors.arithmetic import higher, log
from .vectors.jit import each, entry, inner
from .vectors.simd import element, load, load_at, prefetch, rows, store, store_at, turn

PARTS = 64
AHEAD = 24  # points by which planes are fetched ahead: the processor does not foresee so many streams
LANES = 8  # planes are read and written in tiles of as many labels and points
TILE = rows(0, LANES).dtype
NOTHING = np.finfo(np.float32).min  # the logarithm in a lane without a label: it loses against any finite one


@entry
def largest_of_each(planes, found):
    """Write the largest number of each plane (C, N) to `found` (C,)."""
    each(len(planes), _highest_of_plane, (planes, found))


@inner
def _highest_of_plane(i, planes, found):
    highest = planes[i, 0]
    for point in range(planes.shape[1]):
        if planes[i, point] > highest:
            highest = planes[i, point]
    found[i] = highest


@entry
def clear(planes, labels):
    """Set the planes of these labels to zero."""
    each(len(labels), _clear_plane, (planes, labels))


@inner
def _clear_plane(i, planes, labels):
    planes[labels[i]] = 0


@entry
def gather(flat, points, labels, smallest, unary):
    """Fill rows with the logarithms of some planes.

    Args:
        flat: (C N,) float32, the planes one after the other: probabilities or logarithms.
        points: N.
        labels: (W,) label of each lane, or -1; W is a multiple of 8.
        smallest: probabilities are clipped here; 0: the planes are logarithms.
        unary: (N W,) float32, the numbers of the rows.
    """
    each(PARTS, _gather_part, (flat, points, labels, smallest, unary))


@inner
def _gather_part(part, flat, points, labels, smallest, unary):
    width, tile, edge = len(labels), np.empty(LANES, TILE), np.zeros(LANES, np.float32)
    blocks = -(-points // LANES)
    for block in range(part * blocks // PARTS, (part + 1) * blocks // PARTS):
        point = block * LANES
        count = min(LANES, points - point)
        for first in range(0, width, LANES):
            for lane in range(LANES):
                label = labels[first + lane]
                if label < 0:
                    store(tile, lane, NOTHING)
                    continue
                if count == LANES:
                    x = load_at(flat, label * points + point, tile)
                    prefetch(flat, label * points + point + AHEAD)
                else:
                    for i in range(count):
                        edge[i] = flat[label * points + point + i]
                    x = load_at(edge, 0, tile)
                store(tile, lane, log(higher(x, smallest)) if smallest > 0 else x)
            turn(tile, 0, tile, 0)
            for i in range(count):
                store_at(unary, (point + i) * width + first, load(tile, i))


@inner
def scatter(answers, tile, labels, point, count, points, flat):
    """Write the answers of up to 8 points to the planes of their labels.

    Args:
        answers: (8 W,) float32, the numbers of 8 rows.
        tile: (8,) rows of 8, overwritten.
        labels: (W,) label of each lane, or -1.
        point: the first one.
        count: how many there are.
        points: N.
        flat: (C N,) float32, the planes one after the other.
    """
    width = len(labels)
    for first in range(0, width, LANES):
        for i in range(LANES):
            store(tile, i, load_at(answers, i * width + first, tile))
        turn(tile, 0, tile, 0)
        for lane in range(LANES):
            label = labels[first + lane]
            if label >= 0 and count == LANES:
                store_at(flat, label * points + point, load(tile, lane))
                prefetch(flat, label * points + point + AHEAD)
            elif label >= 0:
                for i in range(count):
                    flat[label * points + point + i] = element(tile, lane, i)
