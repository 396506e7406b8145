"""Count pixels per true and predicted class: confusion matrices, also for bands around boundaries, and Boundary IoU."""

import math
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torchmetrics import Metric

from src.data.classes import void_label
from src.scoring.metrics import RADII, Matrix

_BOUNDARY = 0.02  # of the image's diagonal
_CELLS = 2**22  # pixels counted at once, over all variants: 32 MB


def confusion_matrix(labels: Tensor, target: Tensor, num_classes: int) -> Tensor:
    """Count pixels per (true class, predicted class), without void; on the device, without waiting for it.

    Args:
        labels: (..., H, W) int64 in [0, C).
        target: same shape, int64 in [0, C) or `void_label(C)`.
        num_classes: C.

    Returns:
        (C, C) int64; rows are the truth.
    """
    size = num_classes**2
    cells = (target * num_classes + labels).where(target != void_label(num_classes), size)  # void has a cell of its own
    return _count(cells.flatten(), size + 1)[:-1].view(num_classes, num_classes)


class ConfusionMatrix(Metric):
    """The confusion matrix of many images, of all processes together; see `confusion_matrix`.

    torchmetrics' own matrix waits for the device with every image.
    """

    counts: Tensor

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.add_state("counts", torch.zeros(num_classes, num_classes, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, labels: Tensor, target: Tensor) -> None:
        """Add images: labels and target (..., H, W) int64."""
        self.counts += confusion_matrix(labels, target, self.num_classes)

    def compute(self) -> Tensor:
        """(C, C) int64."""
        return self.counts


def boundary_rings(target: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """How far pixels are from a boundary of the truth: trimaps of several widths at once (Kohli et al. 2009, sec. 5).

    Args:
        target: (H, W) labels in [0, C) or void.

    Returns:
        (H, W): for each pixel, how many of the `RADII` are too small to reach another label. So the rings 0 to k are
        the band within `RADII[k]` px (chessboard distance) of another label. Void, which VOC draws along boundaries,
        counts as a label.
    """
    lowest: npt.NDArray[Any] = target.astype(np.uint8 if target.max(initial=0) < 256 else np.uint16)
    highest = lowest
    rings = np.zeros(target.shape, dtype=np.int64)
    for radius, before in zip(RADII, (0, *RADII), strict=False):
        side = 2 * (radius - before) + 1
        window = np.ones((side, side), dtype=np.uint8)  # goes on from the last radius; outside the image is nothing
        lowest, highest = cv2.erode(lowest, window), cv2.dilate(highest, window)
        rings += lowest == highest
    return rings


def boundary_band(labels: npt.NDArray[np.unsignedinteger[Any]], distance: int) -> npt.NDArray[np.bool_]:
    """(H, W): whether a pixel is within `distance` px (chessboard) of another label, or of the outside of the image."""
    window = np.ones((2 * distance + 1, 2 * distance + 1), dtype=np.uint8)
    band = cv2.erode(labels, window) != cv2.dilate(labels, window)
    for edge in (band[:distance], band[-distance:], band[:, :distance], band[:, -distance:]):
        edge[:] = True
    return np.asarray(band)


class BoundaryCounter:
    """Hits and unions of Boundary IoU: like IoU, but of the pixels of each mask that are near its own boundary.

    Cheng et al. 2021, eq. 3, arXiv:2103.16562: near is 2 % of the image's diagonal, and the image's edge is a boundary.
    Void is no class: where the truth is void, the prediction is made void, too. So the outlines that VOC leaves open
    bound both masks, and a prediction that is right wherever the truth is known has 1.

    Args:
        target: (H, W) int64 in [0, C) or `void_label(C)`, on the CPU.
        num_classes: C.
    """

    def __init__(self, target: Tensor, num_classes: int) -> None:
        self.num_classes = num_classes
        self.dtype: Any = np.uint8 if num_classes <= 255 else np.uint16
        self.truth = target.numpy().astype(self.dtype)
        self.void = self.truth == void_label(num_classes)
        self.distance = max(1, round(_BOUNDARY * math.hypot(*target.shape)))
        self.near = boundary_band(self.truth, self.distance) & ~self.void
        self.true = np.bincount(self.truth[self.near], minlength=num_classes)

    def __call__(self, labels: Mapping[str, Tensor]) -> dict[str, npt.NDArray[np.int64]]:
        """(2, C) per variant, hits and unions, from labels (H, W) int64 in [0, C)."""
        small = torch.stack([*labels.values()]).to(torch.uint8 if self.num_classes <= 255 else torch.int32)
        found = {}
        for name, predicted in zip(labels, small.cpu().numpy().astype(self.dtype, copy=False), strict=True):
            own = np.where(self.void, self.truth, predicted)
            near = boundary_band(own, self.distance) & ~self.void
            there = own[near].astype(np.intp)
            hit = self.near[near] & (self.truth[near] == there)
            missed, hits = np.bincount(there + self.num_classes * hit, minlength=2 * self.num_classes).reshape(2, -1)
            found[name] = np.stack([hits, self.true + missed])
        return found


class RingCounter:
    """Confusion matrices of one image, per ring around the boundaries of its truth; counted on the labels' device.

    Args:
        target: (H, W) int64 in [0, C) or `void_label(C)`, on the CPU.
        num_classes: C.
        device: of the labels.
    """

    def __init__(self, target: Tensor, num_classes: int, device: torch.device) -> None:
        self.shape = (len(RADII) + 1, num_classes, num_classes)
        rings = torch.from_numpy(boundary_rings(target.numpy())).flatten()
        truth = target.flatten()
        known = (truth != void_label(num_classes)).nonzero().squeeze(1)
        self.base = ((rings[known] * num_classes + truth[known]) * num_classes).to(device)
        self.known = known.to(device)

    def __call__(self, labels: Mapping[str, Tensor]) -> dict[str, Matrix]:
        """(len(RADII) + 1, C, C) per variant, from labels (H, W) int64 in [0, C); their sum is the whole image.

        Counts several variants at once, as far as memory allows, because each count waits for a GPU.
        """
        size = math.prod(self.shape)
        at_once = max(1, _CELLS // max(1, len(self.known)))
        found: dict[str, Matrix] = {}
        for first in range(0, len(labels), at_once):
            names = list(labels)[first : first + at_once]
            cells = torch.stack([labels[name].flatten()[self.known] for name in names]).add_(self.base)
            cells += size * torch.arange(len(cells), device=cells.device)[:, None]
            counts = _count(cells.flatten(), len(cells) * size).cpu().numpy()
            found |= zip(names, counts.reshape(-1, *self.shape), strict=True)
        return found


def _count(cells: Tensor, size: int) -> Tensor:
    """(size,) int64: how often each cell occurs in `cells`, int64 in [0, size); the order of additions does not matter.

    `torch.bincount` would read the largest cell from the device first.
    """
    return cells.new_zeros(size).index_add_(0, cells, cells.new_ones(1).expand_as(cells))
