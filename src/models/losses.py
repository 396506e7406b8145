"""Losses for dense labels: pure functions, and thin modules that a config names.

Each loss is a mean over the labelled pixels; without labelled pixels it is zero, with gradients. It computes in float32
or better for any type of logits. Each module returns its value under "loss"; `Combined` also returns its terms.

In training, a module's sums run over the batches of all processes, so its value and the gradient that DDP averages are
those of one process with the whole batch. Not in validation, where processes have different numbers of batches.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from src.core import processes
from src.core.errors import InputError
from src.data.classes import void_label
from src.models.tables import LOSSES


def cross_entropy(
    logits: Tensor,
    target: Tensor,
    *,
    class_weights: Tensor | None = None,
    ignore_index: int | None = None,
    join: bool = False,
) -> Tensor:
    """Softmax cross-entropy; with class weights, sum(w l) / sum(w) over labelled pixels, as in torch.

    Args:
        logits: (B, C, H, W) float, unnormalised.
        target: (B, H, W) int64 in [0, C), or `ignore_index`.
        class_weights: (C,) float >= 0.
        ignore_index: label of pixels that do not count; None: `void_label(C)`, which is 255 for up to 255 classes.
        join: over the batches of all processes, which must all call it.

    Returns:
        Scalar float32 (float64 for float64 logits).

    Raises:
        ValueError: sizes differ.
        InputError: the number of weights is not the number of classes.
    """
    loss = _pixel_cross_entropy(logits, target, ignore_index)
    return _labelled_mean(loss, _pixel_weights(logits, target, class_weights, ignore_index), join)


def focal_loss(
    logits: Tensor,
    target: Tensor,
    *,
    gamma: float,
    class_weights: Tensor | None = None,
    ignore_index: int | None = None,
    join: bool = False,
) -> Tensor:
    """Softmax focal loss (1 - p_t)^gamma (-log p_t) (Lin et al. 2017, eq. 4 and 5, arXiv:1708.02002).

    Args:
        logits: (B, C, H, W) float, unnormalised.
        target: (B, H, W) int64 in [0, C), or `ignore_index`.
        gamma: focusing strength >= 0; 0 is `cross_entropy`.
        class_weights: (C,) float >= 0, the paper's alpha; the mean divides by their sum, as in `cross_entropy`.
        ignore_index: label of pixels that do not count; None: `void_label(C)`, which is 255 for up to 255 classes.
        join: over the batches of all processes, which must all call it.

    Returns:
        Scalar float32 (float64 for float64 logits).

    Raises:
        ValueError: sizes differ.
        InputError: gamma < 0, or the number of weights is not the number of classes.
    """
    _check_gamma(gamma)
    loss = _pixel_cross_entropy(logits, target, ignore_index)
    miss = (-torch.expm1(-loss)).clamp_min(1e-8)  # 1 - p_t; clamped: for gamma < 1 its power has infinite slope at 0
    return _labelled_mean(miss**gamma * loss, _pixel_weights(logits, target, class_weights, ignore_index), join)


def dice_loss(logits: Tensor, target: Tensor, *, ignore_index: int | None = None, join: bool = False) -> Tensor:
    """1 - soft Dice 2 sum(p t) / (sum p + sum t), mean over the classes present in the batch's target.

    Milletari et al. 2016, sec. 3 (arXiv:1606.04797), but without squares, and per class as in Sudre et al. 2017
    (arXiv:1707.03237); p is the softmax. Sums run over the labelled pixels of the whole batch. Absent classes do not
    count: their Dice would be 0 for any prediction.

    Args:
        logits: (B, C, H, W) float, unnormalised.
        target: (B, H, W) int64 in [0, C), or `ignore_index`.
        ignore_index: label of pixels that do not count; None: `void_label(C)`, which is 255 for up to 255 classes.
        join: over the batches of all processes, which must all call it.

    Returns:
        Scalar float32 (float64 for float64 logits) in [0, 1].

    Raises:
        ValueError: sizes differ.
    """
    ignored = _ignored(logits, target, ignore_index)
    classes = torch.arange(logits.shape[1], device=target.device).view(1, -1, 1, 1)
    truth = (target.unsqueeze(1) == classes) & (target != ignored).unsqueeze(1)  # (B, C, H, W)
    probs = _full_precision(logits).softmax(dim=1) * (target != ignored).unsqueeze(1)
    overlap = (probs * truth).sum(dim=(0, 2, 3))  # (C,)
    total = probs.sum(dim=(0, 2, 3)) + truth.sum(dim=(0, 2, 3))
    present = truth.any(dim=3).any(dim=2).any(dim=0)
    if join:
        overlap, total, found = processes.joined(torch.stack([overlap, total, present.to(total.dtype)]))
        present = found > 0
    loss = 1 - 2 * overlap / total.clamp_min(1e-8)  # a present class has total >= 1
    return (loss * present).sum() / present.sum().clamp_min(1)


@LOSSES.add("cross_entropy")
class CrossEntropy(nn.Module):
    """`cross_entropy` with given class weights."""

    class_weights: Tensor | None

    def __init__(self, class_weights: Sequence[float] | None) -> None:
        super().__init__()
        self.register_buffer("class_weights", _checked_weights(class_weights), persistent=False)

    def forward(self, logits: Tensor, target: Tensor) -> dict[str, Tensor]:
        """(B, C, H, W), (B, H, W) to `{"loss": scalar}`."""
        return {"loss": cross_entropy(logits, target, class_weights=self.class_weights, join=self.training)}


@LOSSES.add("focal")
class Focal(nn.Module):
    """`focal_loss` with given gamma and class weights."""

    class_weights: Tensor | None

    def __init__(self, gamma: float, class_weights: Sequence[float] | None) -> None:
        super().__init__()
        _check_gamma(gamma)
        self.gamma = gamma
        self.register_buffer("class_weights", _checked_weights(class_weights), persistent=False)

    def forward(self, logits: Tensor, target: Tensor) -> dict[str, Tensor]:
        """(B, C, H, W), (B, H, W) to `{"loss": scalar}`."""
        return {
            "loss": focal_loss(logits, target, gamma=self.gamma, class_weights=self.class_weights, join=self.training)
        }


@LOSSES.add("dice")
class Dice(nn.Module):
    """`dice_loss`."""

    def forward(self, logits: Tensor, target: Tensor) -> dict[str, Tensor]:
        """(B, C, H, W), (B, H, W) to `{"loss": scalar}`."""
        return {"loss": dice_loss(logits, target, join=self.training)}


class Term(TypedDict):
    """One entry of `Combined`: a factor >= 0, and the name and options of a loss."""

    weight: float
    loss: Mapping[str, Any]


@LOSSES.add("combined")
class Combined(nn.Module):
    """Weighted sum of named losses.

    Args:
        terms: name -> term; each is logged under its name.

    Raises:
        InputError: no terms, a negative weight, or a term called "loss".
    """

    def __init__(self, terms: Mapping[str, Term]) -> None:
        super().__init__()
        for name, term in terms.items():
            if name == "loss" or term["weight"] < 0:
                raise InputError(f'loss.terms.{name}: the weight must be >= 0, and "loss" is the name of the sum')
        if not terms:
            raise InputError("loss.terms is empty: name at least one loss")
        self.weights = {name: float(term["weight"]) for name, term in terms.items()}
        self.losses = nn.ModuleList(LOSSES.make(term["loss"]) for term in terms.values())  # its dict refuses some names

    def forward(self, logits: Tensor, target: Tensor) -> dict[str, Tensor]:
        """(B, C, H, W), (B, H, W) to the sum under "loss" and each term, without its weight, under its name."""
        values = {name: loss(logits, target)["loss"] for name, loss in zip(self.weights, self.losses, strict=True)}
        total = torch.stack([self.weights[name] * value for name, value in values.items()]).sum()
        return {"loss": total, **values}


def _full_precision(logits: Tensor) -> Tensor:
    return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits


def _pixel_cross_entropy(logits: Tensor, target: Tensor, ignore_index: int | None) -> Tensor:
    """(B, H, W), 0 for ignored pixels.

    Computed on rows of classes, as channels-last logits lie in memory: half the time on CPUs. Not reduced by torch:
    its mean of (B, C, H, W) is not deterministic on CUDA (pytorch#17350), and processes join their sums.
    """
    ignored = _ignored(logits, target, ignore_index)
    rows = _full_precision(logits).permute(0, 2, 3, 1).reshape(-1, logits.shape[1])
    with torch.autocast(logits.device.type, enabled=False):
        loss = F.cross_entropy(rows, target.reshape(-1), reduction="none", ignore_index=ignored)
    return loss.view(target.shape)


def _pixel_weights(logits: Tensor, target: Tensor, class_weights: Tensor | None, ignore_index: int | None) -> Tensor:
    """(B, H, W): the class weight of each pixel, 1 without class weights, 0 for ignored pixels."""
    labelled = target != _ignored(logits, target, ignore_index)
    if class_weights is None:
        return labelled.to(torch.float32)
    if len(class_weights) != logits.shape[1]:
        raise InputError(f"loss.class_weights has {len(class_weights)} values: give one for each of {logits.shape[1]}")
    return class_weights[target.where(labelled, 0)] * labelled


def _labelled_mean(loss: Tensor, weights: Tensor, join: bool) -> Tensor:
    total, weight = (weights * loss).sum(), weights.sum()
    if join:
        total, weight = processes.joined(torch.stack([total, weight]))
    return total / weight.clamp_min(torch.finfo(torch.float32).tiny)


def _ignored(logits: Tensor, target: Tensor, ignore_index: int | None) -> int:
    """The label of pixels that do not count; raises ValueError if sizes differ."""
    if logits.shape[:1] + logits.shape[2:] != target.shape:
        raise ValueError(f"logits {tuple(logits.shape)} and target {tuple(target.shape)} differ in batch or size")
    return void_label(logits.shape[1]) if ignore_index is None else ignore_index


def _check_gamma(gamma: float) -> None:
    if not gamma >= 0:
        raise InputError(f"loss.gamma={gamma}: give a number >= 0 (0 is cross-entropy)")


def _checked_weights(class_weights: Sequence[float] | None) -> Tensor | None:
    if class_weights is None:
        return None
    weights = torch.tensor([float(weight) for weight in class_weights])
    if not (torch.isfinite(weights) & (weights >= 0)).all() or not weights.any():
        raise InputError(
            f"loss.class_weights={list(class_weights)}: give finite numbers >= 0, one per class, not all 0"
        )
    return weights
