"""Scores from confusion matrices: pixel accuracy, IoU per class, mIoU, and mIoU near boundaries. No torch."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.int64]
RADII = (1, 3, 5, 10)  # px, of the trimaps
_BLOCK = 2**24  # counts at a time: 128 MB


class Stack(Mapping[str, npt.NDArray[Any]]):
    """Counts per name and image. Only non-zero cells are stored; `stack[name]` gives the dense counts of all images.

    Args:
        names: in the order of the tables.
        shape: of the counts of one image.
        dtype: integer.
    """

    def __init__(self, names: list[str], shape: tuple[int, ...], dtype: type[np.integer[Any]]) -> None:
        self.names = names
        self.shape = shape
        self.dtype = dtype
        self.images: list[dict[str, tuple[npt.NDArray[np.uint32], npt.NDArray[Any]]]] = []

    def append(self, counts: Mapping[str, npt.NDArray[Any]]) -> None:
        """Add an image: per name an array of `shape`."""
        cells = {name: np.flatnonzero(found).astype(np.uint32) for name, found in counts.items()}
        values = {name: found.ravel()[cells[name]].astype(self.dtype) for name, found in counts.items()}
        self.images.append({name: (cells[name], values[name]) for name in self.names})

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        """(N, *shape) of all images."""
        if name not in self.names:
            raise KeyError(name)
        return self._dense(name, self.images)

    def rows(self) -> Iterator[tuple[str, "StackRows"]]:
        """The same per name, a few images at a time: 1,449 images of 1,000 classes have 12 GB."""
        return ((name, StackRows(self, name)) for name in self.names)

    def _dense(self, name: str, images: Sequence[Mapping[str, Any]]) -> npt.NDArray[Any]:
        dense = np.zeros((len(images), int(np.prod(self.shape))), dtype=self.dtype)
        for row, image in zip(dense, images, strict=True):
            cells, values = image[name]
            row[cells] = values
        return dense.reshape(-1, *self.shape)

    def total(self, name: str) -> npt.NDArray[np.int64]:
        """(*shape) summed over the images, without making any image dense."""
        found = np.zeros(int(np.prod(self.shape)), dtype=np.int64)
        for image in self.images:
            cells, values = image[name]
            found[cells] += values  # each cell occurs once per image
        return found.reshape(self.shape)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


class StackRows:
    """The dense counts of one name of a `Stack`, block by block; see `src.core.files.whole.Rows`."""

    def __init__(self, stack: Stack, name: str) -> None:
        self.stack = stack
        self.name = name
        self.shape = (len(stack.images), *stack.shape)
        self.dtype = stack.dtype

    def __iter__(self) -> Iterator[npt.NDArray[Any]]:
        size = max(1, _BLOCK // int(np.prod(self.stack.shape)))
        for first in range(0, len(self.stack.images), size):
            yield self.stack._dense(self.name, self.stack.images[first : first + size])


def margins(matrix: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """(..., 3, C): per class the pixels that are correct, true, and predicted, from matrices (..., C, C)."""
    return np.stack([np.diagonal(matrix, axis1=-2, axis2=-1), matrix.sum(-1), matrix.sum(-2)], -2)


def hits_and_unions(margin: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """(..., 2, C): per class, correct pixels, and pixels that are predicted or true, from margins (..., 3, C)."""
    hit, true, predicted = np.moveaxis(margin, -2, 0)
    return np.stack([hit, true + predicted - hit], -2)


@dataclass(frozen=True)
class Scores:
    """Scores of one confusion matrix, as fractions in [0, 1]; NaN if no pixel is labelled."""

    miou: float
    pixel_accuracy: float
    iou: npt.NDArray[np.float64]  # (C,), NaN for a class whose union is empty

    def as_dict(self, classes: Sequence[str]) -> dict[str, Any]:
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
    return scores_of(margins(np.asarray(matrix, dtype=np.float64).reshape(-1, *matrix.shape[-2:]).sum(0)))


def scores_of(margin: npt.NDArray[Any]) -> Scores:
    """The same from margins (3, C)."""
    total = np.asarray(margin, dtype=np.float64)
    hit, union = hits_and_unions(total)
    with np.errstate(invalid="ignore", divide="ignore"):
        iou = hit / union
        accuracy = hit.sum() / total[1].sum()
    miou = float(np.nanmean(iou)) if (union > 0).any() else float("nan")
    return Scores(miou=miou, pixel_accuracy=float(accuracy), iou=iou)


def image_miou(margin: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """(N,) mIoU of each image over its true and predicted classes, from margins (N, 3, C); NaN without labels."""
    hit, union = np.moveaxis(hits_and_unions(margin), -2, 0)
    with np.errstate(invalid="ignore"):
        return np.asarray((hit / np.maximum(union, 1)).sum(-1) / (union > 0).sum(-1))


def boundary_iou(counts: npt.NDArray[np.int32]) -> float | None:
    """Boundary IoU, mean over classes, from (N, 2, C) hits and unions; None if no labelled pixel is near a boundary."""
    hit, union = counts.sum(0, dtype=np.int64)
    return float((hit[union > 0] / union[union > 0]).mean()) if union.any() else None


def trimap_miou(counts: npt.NDArray[np.int32]) -> dict[int, float | None]:
    """Per radius, the mIoU near boundaries, from (N, len(RADII), 2, C); None if no pixel is labelled there."""
    hit, union = counts.sum(0, dtype=np.int64).transpose(1, 0, 2)
    present = union > 0
    return {
        radius: float((hit[k, present[k]] / union[k, present[k]]).mean()) if present[k].any() else None
        for k, radius in enumerate(RADII)
    }
