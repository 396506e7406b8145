"""Work on planes of labels (C, N) before and after the iterations, with all threads."""

import numpy as np

from .jit import each, entry, inner
from .simd import store


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
def transpose(planes, unary, numbers):
    """Fill rows with the kept labels' planes; `numbers` is another view of `unary`. Padding loses against any label."""
    each(64, _transpose_part, (planes, unary, numbers))


@inner
def _transpose_part(part, planes, unary, numbers):
    points = planes.shape[1]
    for point in range(part * points // 64, (part + 1) * points // 64):
        store(unary, point, np.float32(-1e30))
        for label in range(len(planes)):
            numbers[point, label] = planes[label, point]
