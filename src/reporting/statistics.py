"""How certain a table is: bootstrap over images, spread over seeds, paired differences. Pure NumPy.

Images. A data-set score is a mean of ratios of sums over images (IoU of a class: hits over union). Images are drawn
with replacement, with the same draws for every row, so differences are paired (Efron and Tibshirani 1993, ch. 13).
Rare classes need two things:

* A class that is in none of the drawn images keeps its estimate. Without it, the mean would be over other classes.
  Drawing within strata (images grouped by their rarest class) keeps every class too, but its intervals hold the truth
  less often than they claim (`make bench-coverage`): a stratum of n images shows (n - 1)/n of its variance, and strata
  of rare classes are small.
* The residual of an image in a ratio with estimate q is hit - q * union. It is divided by sqrt(1 - h), where h is the
  image's share of the whole union. Otherwise an image that makes up most of a class pulls the estimate to itself and
  hides its own error (Davison and Hinkley 1997, sec. 6.3).

Seeds. Two to five seeds are too few to draw from. So the upper level of the hierarchy is Student's t around their mean,
added to the draws of the lower level (`_with_seeds`). One seed says nothing about training again.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
_CHUNK = 500  # resamples at a time: 3 MB of counts for 1,449 images
_LEAST = 0.1  # smallest 1 - h: an image that holds all of a class has residual 0 anyway


@dataclass(frozen=True)
class Sample:
    """The counts behind the scores of one row.

    Attributes:
        numerator: (S, N, K) of S seeds, N images and K ratios.
        denominator: (S, N, K).
        means: (K, G) bool; score g is the mean of its ratios whose denominator, summed over all images, is not 0.
        seeds: names of the S seeds; rows with equal seeds are paired by seed.
    """

    numerator: npt.NDArray[np.float32]
    denominator: npt.NDArray[np.float32]
    means: npt.NDArray[np.bool_]
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Estimate:
    """Scores of a row, each of G entries.

    Attributes:
        value: mean over seeds.
        low: lower end of the 95 % interval.
        high: upper end of the 95 % interval.
        seeds_sd: standard deviation over seeds; NaN with one seed.
    """

    value: Array
    low: Array
    high: Array
    seeds_sd: Array


@dataclass(frozen=True)
class Difference:
    """Scores of a row minus those of the baseline; `p` is two-sided and not corrected for the number of rows."""

    value: Array
    low: Array
    high: Array
    p: Array


@dataclass(frozen=True)
class Draws:
    """Scores of a row: on the data, (S, G), and on each of R resamples of the images, (R, S, G)."""

    point: Array
    resampled: npt.NDArray[np.float32]
    seeds: tuple[int, ...]


def bootstrap(rows: Sequence[Sample], *, resamples: int, seed: int = 0) -> list[Draws]:
    """Scores of every row on the same resamples of the images.

    Args:
        rows: all with the same N images in the same order.
        resamples: R.
        seed: of the draws.

    Raises:
        ValueError: the rows have different numbers of images.
    """
    if len({row.numerator.shape[1] for row in rows}) > 1:
        raise ValueError("rows were scored on different numbers of images and cannot share resamples")
    random = np.random.default_rng(seed)
    prepared = [_Prepared(row) for row in rows]
    drawn: list[list[npt.NDArray[np.float32]]] = [[] for _ in rows]
    for begin in range(0, resamples, _CHUNK):
        counts = _counts(rows[0].numerator.shape[1], min(_CHUNK, resamples - begin), random)
        for found, row in zip(drawn, prepared, strict=True):
            found.append(row.scores(counts))
    return [
        Draws(row.point, np.concatenate(found), sample.seeds)
        for row, found, sample in zip(prepared, drawn, rows, strict=True)
    ]


class _Prepared:
    """A sample with its point estimates, and its residuals corrected for leverage."""

    def __init__(self, row: Sample) -> None:
        numerator, denominator = row.numerator.astype(np.float64), row.denominator.astype(np.float64)
        total = denominator.sum(1, keepdims=True)  # (S, 1, K)
        share = denominator / np.where(total > 0, total, 1)
        self.estimate = numerator.sum(1, keepdims=True) / np.where(total > 0, total, 1)
        residual = numerator - self.estimate * denominator
        corrected = self.estimate * denominator + residual / np.sqrt(np.maximum(1 - share, _LEAST))
        stacked = np.concatenate([corrected, denominator], axis=2)  # (S, N, 2K)
        self.columns = stacked.transpose(1, 0, 2).reshape(stacked.shape[1], -1).astype(np.float32)
        member = row.means[None] & (total > 0).transpose(0, 2, 1)  # (S, K, G)
        size = member.sum(1, keepdims=True)
        self.weights = member / np.where(size > 0, size, np.nan)
        self.point: Array = np.einsum("sk,skg->sg", self.estimate[:, 0], self.weights)

    def scores(self, counts: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """(R, S, G) from how often each image was drawn, (R, N)."""
        sums = (counts @ self.columns).reshape(len(counts), len(self.estimate), 2, -1)
        hit, union = sums[:, :, 0], sums[:, :, 1]
        estimate = np.broadcast_to(self.estimate[:, 0].astype(np.float32), hit.shape)
        ratios = np.divide(hit, union, out=estimate.copy(), where=union > 0)
        means = ratios.transpose(1, 0, 2) @ self.weights.astype(np.float32)  # (S, R, G)
        return np.moveaxis(means, 0, 1)


def _counts(images: int, resamples: int, random: np.random.Generator) -> npt.NDArray[np.float32]:
    """(R, N): how often each image is drawn when N are drawn with replacement."""
    drawn = random.integers(0, images, (resamples, images)) + images * np.arange(resamples)[:, None]
    counted = np.bincount(drawn.ravel(), minlength=resamples * images)
    return counted.reshape(resamples, images).astype(np.float32)


def estimate(row: Draws, *, level: float = 0.95) -> Estimate:
    """Mean over seeds, with an interval for the choice of images and, from two seeds on, also for the choice of seeds.

    Scores are fractions: with two or three seeds, Student's t can exceed 0 and 1, so the interval is clipped.
    """
    spread = _sd(row.point)
    draws = _with_seeds(row.resampled.mean(1), [(spread, len(row.seeds))])
    low, high = _interval(draws, level)
    return Estimate(row.point.mean(0), np.clip(low, 0, 1), np.clip(high, 0, 1), spread)


def difference(row: Draws, baseline: Draws, *, level: float = 0.95) -> Difference:
    """Row minus baseline, paired by image, and by seed if both have the same seeds (else seeds as in Welch's test)."""
    if row.seeds == baseline.seeds:
        draws = (row.resampled - baseline.resampled).mean(1)
        spreads = [(_sd(row.point - baseline.point), len(row.seeds))]
    else:
        draws = row.resampled.mean(1) - baseline.resampled.mean(1)
        spreads = [(_sd(one.point), len(one.seeds)) for one in (row, baseline)]
    draws = _with_seeds(draws, spreads)
    low, high = _interval(draws, level)
    return Difference(row.point.mean(0) - baseline.point.mean(0), low, high, _p_value(draws))


def holm(p: npt.ArrayLike) -> Array:
    """P-values adjusted for their number (Holm 1979): significant at level a if the result is below a."""
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values)
    steps = (len(values) - np.arange(len(values))) * values[order]
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return adjusted


def verdict(value: float, p: float, *, level: float = 0.05) -> str:
    """The verdict on a difference from its corrected p-value: "better", "worse" or "not separable"."""
    if not p < level:
        return "not separable"
    return "better" if value > 0 else "worse"


def _sd(point: Array) -> Array:
    """(G,) standard deviation over seeds; NaN with one seed."""
    if len(point) < 2:
        return np.full(point.shape[1], np.nan)
    return np.asarray(point.std(0, ddof=1))


def _with_seeds(draws: npt.NDArray[np.float32], spreads: list[tuple[Array, int]]) -> Array:
    """(R, G) draws of the images alone, widened by the standard errors of means over seeds.

    A normal draw of the seeds' error is added to each draw. The sum is stretched as Student's t with the degrees of
    freedom of the whole (Satterthwaite 1946; images count as many degrees). If only seeds vary, the result is exactly
    t; if only images vary, nothing is stretched.

    Args:
        draws: of a score or difference.
        spreads: for each independent mean in it, the standard deviations (G,) and the number of seeds.
    """
    found = draws.astype(np.float64)
    known = [(np.nan_to_num(spread) ** 2 / count, count - 1) for spread, count in spreads if count > 1]
    seeds = sum((variance for variance, _ in known), np.zeros(draws.shape[1]))
    below = sum((variance**2 / freedom for variance, freedom in known), np.zeros(draws.shape[1]))
    if not np.any(seeds > 0):
        return found
    varies = np.isfinite(found).all(0) & (below > 0)
    whole = np.where(varies, found.var(0) + seeds, 1)
    freedom = whole**2 / np.where(varies, below, 1)
    random = np.random.default_rng(len(draws))
    added = found + np.sqrt(seeds) * random.standard_normal((len(draws), 1))
    stretch = np.sqrt(freedom / random.chisquare(freedom, draws.shape))
    mean = found.mean(0)
    return np.asarray(np.where(varies, mean + (added - mean) * stretch, found))


def _interval(draws: npt.NDArray[np.floating], level: float) -> tuple[Array, Array]:
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high


def _p_value(draws: npt.NDArray[np.floating]) -> Array:
    """Twice the share of draws on the far side of 0, at least 2 / (R + 1) (Davison and Hinkley 1997, sec. 4.2).

    NaN where the draws are NaN: a class that does not occur.
    """
    below, above = (draws <= 0).sum(0), (draws >= 0).sum(0)
    p: Array = np.minimum(1.0, 2 * (np.minimum(below, above) + 1) / (len(draws) + 1))
    return np.where(np.isnan(draws).any(0), np.nan, p)
