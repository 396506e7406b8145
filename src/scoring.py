"""Confusion matrices and what is computed from them: pixel accuracy, IoU per class, mIoU."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor
from torchmetrics.functional.classification import multiclass_confusion_matrix

from src.data.voc import VOID

Matrix = npt.NDArray[np.int64]


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
    hit = np.diag(total)
    union = total.sum(0) + total.sum(1) - hit
    with np.errstate(invalid="ignore", divide="ignore"):
        iou = hit / union
        accuracy = hit.sum() / total.sum()
    miou = float(np.nanmean(iou)) if (union > 0).any() else float("nan")
    return Scores(miou=miou, pixel_accuracy=float(accuracy), iou=iou)
