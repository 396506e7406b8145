"""Differences between rows and a baseline: p-values for all rows together, intervals that agree with them, verdicts.

Among many rows, one looks good by chance. The correction is the step-down max-T of Westfall and Young (1993): how often
does the *largest* of the differences that are still in question reach this one, after the same swaps of images for all
rows? Rows that are nearly copies of each other count little more than one row.

With several seeds, a random error of the seeds is added to each swapped difference. A difference must then stand out
from both: from the swaps alone, and from swaps and seeds together.

The interval of a difference holds those values from which the difference would not stand out. So it contains 0 exactly
where the verdict is "not separable".
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from src.reporting.statistics.chance import Pair, with_seeds
from src.reporting.statistics.intervals import Estimate, estimate
from src.reporting.statistics.samples import Array, Sample
from src.reporting.statistics.seeds import spread_of
from src.reporting.statistics.swaps import Swapped, swapped

_NEAR = 1e-6  # relative; what differs less is equal but for rounding


@dataclass(frozen=True)
class Difference:
    """Scores of a row minus those of its baseline, each of G entries.

    Attributes:
        value: mean over the trainings that are compared.
        low: lower end of the 95 % interval; NaN where there are too few images for one.
        high: upper end.
        p: two-sided, of this row alone.
        corrected: for the number of rows; what a verdict looks at.
        trainings: how many of the row's trainings are compared.
        with_seeds: whether the spread of seeds is known; otherwise only other images are asked about.
    """

    value: Array
    low: Array
    high: Array
    p: Array
    corrected: Array
    trainings: int
    with_seeds: bool


@dataclass(frozen=True)
class Analysis:
    """What a table says about rows of the same images.

    Attributes:
        estimates: of each row.
        differences: of each row to its baseline; None if it has none.
        exact: whether all ways to swap images were tried, instead of a random choice.
        is_pooled: whether all rows share one spread of seeds, in mIoU.
    """

    estimates: list[Estimate]
    differences: list[Difference | None]
    exact: bool = False
    is_pooled: bool = True


def analyse(
    rows: Sequence[Sample], baselines: Sequence[int | None], *, swaps: int = 10_000, seed: int = 0, level: float = 0.05
) -> Analysis:
    """Everything that a table says about rows of the same images.

    Args:
        rows: all with the same images in the same order, and the same scores.
        baselines: for each row the place of the row that it is compared with; None: with none.
        swaps: the most ways to swap images.
        seed: of random choices.
        level: of verdicts; intervals are of 1 - level.

    Raises:
        ValueError: the rows have different numbers of images.
    """
    spread = spread_of([row.deviations for row in rows], [row.trainings for row in rows])
    found = [estimate(row, spread.variance[k], spread.freedom[k], level=1 - level) for k, row in enumerate(rows)]
    pairs = [Pair.of(rows, k, base) for k, base in enumerate(baselines) if base is not None and base != k]
    differences: list[Difference | None] = [None] * len(rows)
    if not pairs:
        return Analysis(found, differences)
    value = np.stack([pair.row.value - pair.baseline.value for pair in pairs])  # (P, G)
    images = swapped([(pair.row, pair.baseline) for pair in pairs], swaps=swaps, seed=seed)
    steps = [_by_images(value, images, level)]
    both = with_seeds(rows, pairs, spread, images, draws=swaps, seed=seed)
    if both.draws is not None:
        steps.append(step_down(value, both.draws, both.scale, exact=False, level=level))
    p, corrected, half = (np.max([getattr(step, key) for step in steps], axis=0) for key in ("p", "corrected", "half"))
    low, high = (np.where(np.isfinite(half), np.clip(value + sign * half, -1, 1), np.nan) for sign in (-1, 1))
    for k, pair in enumerate(pairs):
        numbers = (value[k], low[k], high[k], p[k], corrected[k])
        differences[pair.places[0]] = Difference(*numbers, len(pair.row.trainings), both.with_seeds[k])
    return Analysis(found, differences, images.exact, both.is_pooled)


def _by_images(value: Array, images: Swapped, level: float) -> "Steps":
    """The test by swaps alone.

    The mean of the scores of several trainings is not quite the score of their mean counts, which are swapped. So the
    latter is tested, and the interval is stretched to the former.
    """
    factor = np.divide(value, images.observed, out=np.ones_like(value), where=(images.observed != 0) & ~np.isnan(value))
    stretched = images.times(factor)
    alike = np.where(np.isnan(value), np.nan, stretched.observed)
    return step_down(alike, stretched.draws, stretched.scale, exact=images.exact, level=level)


@dataclass(frozen=True)
class Steps:
    """For P rows and G scores: p of the row alone, p corrected for all rows, and half the width of the interval."""

    p: Array
    corrected: Array
    half: Array


def step_down(value: Array, draws: npt.NDArray[np.float32], scale: Array, *, exact: bool, level: float = 0.05) -> Steps:
    """The step-down max-T of Westfall and Young (1993, algorithm 4.1), for each score by itself.

    Args:
        value: (P, G) differences; NaN where a score does not exist.
        draws: (P, R, G) what they would be by chance.
        scale: (P, G) positive; differences are compared in units of it.
        exact: whether the draws are all there are. Otherwise the difference itself counts as one more.
        level: of the interval.
    """
    p, corrected, half = (np.full(value.shape, np.nan) for _ in range(3))
    more = 0 if exact else 1
    total = draws.shape[1] + more
    most = int(np.ceil(level * total - more)) - 1  # draws that may reach a difference that stands out
    if exact and most < 1:  # the difference itself is one of the draws
        most = -1
    for score in range(value.shape[1]):
        there = np.flatnonzero(~np.isnan(value[:, score]))
        size = np.where(scale[there, score] > 0, scale[there, score], 1)
        reached = np.abs(value[there, score]) / size
        largest = np.zeros(draws.shape[1])
        before: dict[int, tuple[float, float]] = {}  # row -> corrected p before the steps are put in order, and bound
        for k in np.argsort(reached, kind="stable"):
            own = np.abs(draws[there[k], :, score]) / size[k]
            np.maximum(largest, own, out=largest)
            p[there[k], score] = _share(own, reached[k], more, total)
            before[k] = (_share(largest, reached[k], more, total), _bound(largest, most))
        highest, bound = 0.0, None
        for k in reversed(before):
            highest = max(highest, before[k][0])
            if highest >= level and bound is None:
                bound = before[k][1]  # nothing after this one stands out, so all have its bound
            corrected[there[k], score] = highest
            half[there[k], score] = (before[k][1] if bound is None else bound) * size[k]
    return Steps(p, corrected, half)


def _share(draws: Array, reached: float, more: int, total: int) -> float:
    return float((draws >= reached * (1 - _NEAR)).sum() + more) / total


def _bound(draws: Array, most: int) -> float:
    """What a difference must exceed so that no more than `most` draws reach it."""
    if most < 0:
        return float("inf")
    return float(np.partition(draws, len(draws) - 1 - most)[len(draws) - 1 - most]) * (1 + _NEAR)


def verdict(value: float, corrected: float, *, level: float = 0.05) -> str:
    """The verdict on a difference from its corrected p-value: "better", "worse" or "not separable"."""
    if not corrected < level:
        return "not separable"
    return "better" if value > 0 else "worse"
