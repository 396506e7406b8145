"""Rules that join the network's prediction with the CRF's.

Each rule takes the class probabilities before and after the CRF, both (..., C, H, W) float in [0, 1], and gives
labels (..., H, W) int64. They run on the tensors' own device. To add one, write it here and list it in `RULES`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def most_probable(probs: Tensor) -> Tensor:
    """Labels (..., H, W) int64 of the largest of (..., C, H, W); `max` is many times faster than `argmax` on a CPU."""
    return probs.max(-3).indices


def mean(before: Tensor, after: Tensor, *, weight: float) -> Tensor:
    """Arithmetic mean of the probabilities; `weight` in [0, 1] is the CRF's share."""
    return most_probable(before.lerp(after, weight))


def product(before: Tensor, after: Tensor) -> Tensor:
    """Normalised product of the probabilities (a product of experts); the normaliser does not move the maximum."""
    return most_probable(before * after)


def max(before: Tensor, after: Tensor) -> Tensor:
    """The label of whichever of the two is surer of itself."""
    return most_probable(before.maximum(after))


def fill(before: Tensor, after: Tensor) -> Tensor:
    """Where the CRF says background keep the network's label: undoes holes that the CRF ate into objects."""
    labels = most_probable(after)
    return labels.where(labels != 0, most_probable(before))


def boundary(before: Tensor, after: Tensor, *, radius: int) -> Tensor:
    """The CRF within `radius` px (chessboard distance) of an edge of the network's labels, else the network."""
    from torch.nn.functional import max_pool2d

    labels = most_probable(before)
    flat = labels.reshape(-1, 1, *labels.shape[-2:]).float()  # (N, 1, H, W)
    edge = (max_pool2d(flat, 3, 1, 1) != -max_pool2d(-flat, 3, 1, 1)).float()  # 1 on both sides of an edge
    wide = max_pool2d(edge, (1, 2 * radius + 1), 1, (0, radius))
    near = max_pool2d(wide, (2 * radius + 1, 1), 1, (radius, 0)).bool().reshape(labels.shape)
    return most_probable(after).where(near, labels)


RULES: dict[str, Callable[..., Tensor]] = {rule.__name__: rule for rule in (mean, product, max, fill, boundary)}

LIMITS: dict[str, tuple[float, float]] = {"weight": (0.0, 1.0), "radius": (1, 1000)}  # of the rules' options
