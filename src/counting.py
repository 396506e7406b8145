"""Counting of pixels per true and predicted class: confusion matrices, also of bands around boundaries."""

import math

import numpy as np
import numpy.typing as npt
import torch
from scipy.ndimage import maximum_filter, minimum_filter
from torch import Tensor
from torchmetrics.functional.classification import multiclass_confusion_matrix

from src.data.voc import VOID
from src.scoring import RADII, Matrix


def confusion_matrix(labels: Tensor, target: Tensor, num_classes: int) -> Tensor:
    """Count pixels per (true class, predicted class), void left out.

    Args:
        labels: (..., H, W) int64 in [0, C).
        target: same shape, int64 in [0, C) or 255.
        num_classes: C.

    Returns:
        (C, C) int64; rows are the truth.
    """
    return multiclass_confusion_matrix(labels, target, num_classes, ignore_index=VOID, validate_args=False).long()


def boundary_rings(target: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """How far pixels lie from a boundary of the truth: trimaps of several widths at once (Kohli et al. 2009, sec. 5).

    Args:
        target: (H, W) labels in [0, C) or 255.

    Returns:
        (H, W): the number of `RADII` too small for the pixel, so that ring k and those before it make the band of
        `RADII[k]` px (chessboard distance) to a pixel of another label; void, which VOC draws along boundaries, is one.
    """
    lowest = highest = target.astype(np.uint8)
    rings = np.zeros(target.shape, dtype=np.int64)
    for radius, before in zip(RADII, (0, *RADII), strict=False):
        size = 2 * (radius - before) + 1  # a window of a window
        lowest, highest = minimum_filter(lowest, size, mode="nearest"), maximum_filter(highest, size, mode="nearest")
        rings += lowest == highest
    return rings


class RingCounter:
    """Confusion matrices of one image, per ring around the boundaries of its truth; counts where the labels lie.

    Args:
        target: (H, W) int64 in [0, C) or 255, on the CPU.
        num_classes: C.
        device: on which labels come.
    """

    def __init__(self, target: Tensor, num_classes: int, device: torch.device) -> None:
        self.num_classes = num_classes
        known = target != VOID
        rings = torch.from_numpy(boundary_rings(target.numpy()))
        self.base = ((rings[known] * num_classes + target[known]) * num_classes).to(device)
        self.known = known.to(device)

    def __call__(self, labels: Tensor) -> Matrix:
        """(len(RADII) + 1, C, C) for labels (H, W) int64 in [0, C); the sum over rings is that of the image."""
        shape = (len(RADII) + 1, self.num_classes, self.num_classes)
        counts = torch.bincount(self.base + labels[self.known], minlength=math.prod(shape))
        return counts.reshape(shape).cpu().numpy()
