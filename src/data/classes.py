"""VOC's classes: names, colours, and which label is void. NumPy only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

VOC_CLASSES: tuple[str, ...] = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus"),
    *("car", "cat", "chair", "cow", "diningtable", "dog", "horse"),
    *("motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
VOID = 255  # object borders and "difficult" objects: no class, left out of loss and score

UInt8Array = NDArray[np.uint8]


def voc_palette() -> UInt8Array:
    """The colours of the VOC masks, as the development kit's `VOClabelcolormap` makes them.

    Returns:
        (256, 3) uint8 RGB; row = label. The label's bits 0, 1, 2 are the top bits of red, green and blue, bits 3, 4, 5
        the next ones, and so on.
    """
    labels = np.arange(256)
    palette = np.zeros((256, 3), dtype=np.uint8)
    for bit in range(8):
        for channel in range(3):
            palette[:, channel] |= (((labels >> (3 * bit + channel)) & 1) << (7 - bit)).astype(np.uint8)
    return palette


def unknown_labels(mask: UInt8Array) -> list[int]:
    """Labels of a (H, W) uint8 mask that are neither a class (0..20) nor `VOID`, ascending."""
    strange = mask[(mask >= len(VOC_CLASSES)) & (mask != VOID)]
    return [int(label) for label in np.unique(strange)]
