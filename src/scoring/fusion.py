"""Rules that combine the network's prediction with the CRF's.

Each rule takes the class probabilities before and after the CRF, both (..., C, H, W) float in [0, 1], and gives
labels (..., H, W) int64. It runs on the device of the tensors. Imports no torch.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from src.core.errors import InputError
from src.core.names import Table

if TYPE_CHECKING:
    from torch import Tensor


RULES: Table[Tensor] = Table("variants.fusion")
"""Fusion rules by name. Their options are keyword-only numbers; `LIMITS` holds the ranges.

A rule with the keyword-only argument `background` gets the label of the class that is the background from the data.
"""

LIMITS: dict[str, tuple[float, float]] = {"weight": (0.0, 1.0), "radius": (1, 1000)}


def options_of(name: str) -> list[str]:
    """The options of a rule, which a config gives."""
    named = inspect.signature(RULES[name]).parameters.values()
    return [one.name for one in named if one.kind is one.KEYWORD_ONLY and one.name != "background"]


def needs_background(name: str | None) -> bool:
    """Whether a rule asks which class is the background."""
    return name is not None and "background" in inspect.signature(RULES[name]).parameters


def bound(name: str, options: Mapping[str, Any], background: int | None, where: str) -> partial[Tensor]:
    """A rule with its options, as a function of the probabilities before and after.

    Args:
        name: of the rule.
        options: of the rule.
        background: label of the class that is the background; None: there is none.
        where: what uses the rule, for the message.

    Raises:
        InputError: the rule needs a background, and there is none.
    """
    rule = RULES[name]
    if not needs_background(name):
        return partial(rule, **options)
    if background is None:
        raise InputError(
            f"{where}: the rule '{name}' asks where the background is, but none of the classes is it (data.background "
            f"is null); leave it out with ~{where}, or name the class."
        )
    return partial(rule, **options, background=background)


def most_probable(probs: Tensor) -> Tensor:
    """Most probable labels (..., H, W) int64 of (..., C, H, W); on a CPU, `max` is many times faster than `argmax`."""
    return probs.max(-3).indices


@RULES.add("mean")
def mean(before: Tensor, after: Tensor, *, weight: float) -> Tensor:
    """Arithmetic mean of the probabilities; `weight` in [0, 1] is the CRF's share."""
    return most_probable(before.lerp(after, weight))


@RULES.add("product")
def product(before: Tensor, after: Tensor) -> Tensor:
    """Product of the probabilities (a product of experts); not normalised, as that keeps the maximum."""
    return most_probable(before * after)


@RULES.add("max")
def maximum(before: Tensor, after: Tensor) -> Tensor:
    """The label of the more confident of the two."""
    return most_probable(before.maximum(after))


@RULES.add("fill")
def fill(before: Tensor, after: Tensor, *, background: int) -> Tensor:
    """The network's label where the CRF says background, else the CRF's: fills holes that the CRF made in objects."""
    labels = most_probable(after)
    return labels.where(labels != background, most_probable(before))


@RULES.add("boundary")
def boundary(before: Tensor, after: Tensor, *, radius: int) -> Tensor:
    """CRF label within `radius` px (chessboard distance) of an edge in the network's labels, else network label."""
    labels = most_probable(before)
    return most_probable(after).where(_near(_edges(labels), radius), labels)


def _edges(labels: Tensor) -> Tensor:
    """Bool (..., H, W): pixels with a different label at one of the eight neighbours."""
    height, width = labels.shape[-2:]
    edge = labels != labels
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        here = (..., slice(down, height), slice(max(0, right), width + min(0, right)))
        there = (..., slice(0, height - down), slice(max(0, -right), width - max(0, right)))
        differs = labels[here] != labels[there]
        edge[here] |= differs
        edge[there] |= differs
    return edge


def _near(edge: Tensor, radius: int) -> Tensor:
    """Bool (..., H, W): pixels with an edge in the window of `radius` px to each side; counted by running sums."""
    for axis in (-1, -2):
        along = edge.transpose(-1, axis).long()
        size = along.shape[-1]
        count = along.new_zeros((*along.shape[:-1], size + 1))
        count[..., 1:] = along.cumsum(-1)
        place = along.new_ones(size).cumsum(0) - 1
        last, first = (place + radius + 1).clamp(max=size), (place - radius).clamp(min=0)
        edge = (count.index_select(-1, last) > count.index_select(-1, first)).transpose(-1, axis)
    return edge
