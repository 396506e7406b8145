"""Confusion matrices and what is computed from them: pixel accuracy, IoU per class, mIoU."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.ndimage import maximum_filter, minimum_filter
from torch import Tensor
from torchmetrics.functional.classification import multiclass_confusion_matrix

from src.data.voc import VOID

Matrix = npt.NDArray[np.int64]


RADII = (1, 3, 5, 10)  # px, of the trimaps


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
    """Confusion matrices of one image, per ring around the boundaries of its truth.

    Args:
        target: (H, W) int64 in [0, C) or 255, on the CPU.
        num_classes: C.
    """

    def __init__(self, target: Tensor, num_classes: int) -> None:
        self.num_classes = num_classes
        self.known = target != VOID
        rings = torch.from_numpy(boundary_rings(target.numpy()))
        self.base = (rings[self.known] * num_classes + target[self.known]) * num_classes

    def __call__(self, labels: Tensor) -> Matrix:
        """(len(RADII) + 1, C, C) for labels (H, W) int64 in [0, C); the sum over rings is that of the image."""
        shape = (len(RADII) + 1, self.num_classes, self.num_classes)
        return torch.bincount(self.base + labels[self.known], minlength=math.prod(shape)).reshape(shape).numpy()


def hits_and_unions(matrix: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """(..., 2, C) pixels of each class found, and predicted or true, from matrices (..., C, C)."""
    hit = np.diagonal(matrix, axis1=-2, axis2=-1)
    return np.stack([hit, matrix.sum(-1) + matrix.sum(-2) - hit], -2)


@dataclass(frozen=True)
class Scores:
    """Scores of one confusion matrix, as fractions in [0, 1]; NaN where nothing was labelled."""

    miou: float
    pixel_accuracy: float
    iou: npt.NDArray[np.float64]  # (C,), NaN for a class whose union is empty

    def as_dict(self, classes: tuple[str, ...]) -> dict[str, Any]:
        """Plain numbers for JSON; a class that does not occur is None."""
        iou = {name: None if np.isnan(v) else float(v) for name, v in zip(classes, self.iou, strict=True)}
        return {"miou": self.miou, "pixel_accuracy": self.pixel_accuracy, "iou": iou}


def scores(matrix: Matrix) -> Scores:
    """Scores of a data set from the sum of its confusion matrices (Everingham et al. 2010, sec. 4.3).

    Args:
        matrix: (C, C) or (N, C, C) counts, rows the truth; N matrices are summed first.

    Returns:
        mIoU is the mean over the classes whose union is not empty.
    """
    total = np.asarray(matrix, dtype=np.float64).reshape(-1, *matrix.shape[-2:]).sum(0)
    hit, union = hits_and_unions(total)
    with np.errstate(invalid="ignore", divide="ignore"):
        iou = hit / union
        accuracy = hit.sum() / total.sum()
    miou = float(np.nanmean(iou)) if (union > 0).any() else float("nan")
    return Scores(miou=miou, pixel_accuracy=float(accuracy), iou=iou)


def image_miou(matrices: Matrix) -> npt.NDArray[np.float64]:
    """(N,) mIoU of each image by itself, from (N, C, C), over the classes it has or was given; NaN without labels."""
    hit, union = np.moveaxis(hits_and_unions(matrices), -2, 0)
    with np.errstate(invalid="ignore"):
        return np.asarray((hit / np.maximum(union, 1)).sum(-1) / (union > 0).sum(-1))


def trimap_miou(counts: npt.NDArray[np.int32]) -> dict[int, float | None]:
    """Per radius the mIoU near boundaries, from (N, len(RADII), 2, C); None where no pixel is labelled there."""
    hit, union = counts.sum(0, dtype=np.int64).transpose(1, 0, 2)
    present = union > 0
    return {
        radius: float((hit[k, present[k]] / union[k, present[k]]).mean()) if present[k].any() else None
        for k, radius in enumerate(RADII)
    }
