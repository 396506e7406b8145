"""What is computed from confusion matrices: pixel accuracy, IoU per class, mIoU, and mIoU near boundaries. No torch."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.int64]
RADII = (1, 3, 5, 10)  # px, of the trimaps


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
