"""The interval of a row's own score: what other images of this kind, and other seeds, would give.

The variance of a ratio is that of its residuals hit - q * union, q the ratio itself (Cochran 1977, sec. 6.3). A rare
class is in few images, so its variance is hardly known, and an image that makes up most of a class hides its own error.
Both are mended: residuals are scaled up by the image's share of the class, and the spread of a class is drawn to the
spread of all classes of the score as if the latter had been seen in one image more. The interval is Student's t with
the degrees of freedom that remain (Satterthwaite 1946).

A ratio of few images is also a little wrong on average, mostly too small: pixels that are predicted wrongly come from
all images, and those that are right from a few. The interval is stretched by this bias, estimated to first order
(Cochran 1977, sec. 6.8).

The weights of a weighted mean, such as the frequencies of classes, are taken as they are.

A class of which not one pixel is right says nothing about how right it would be elsewhere. Where a score has such a
class there is no interval. With few images, most data sets have one, and the others are the lucky ones, so an interval
would be wrong too often: there is none with fewer than 20 images, or than 4 for each class (`make bench-coverage`).
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from src.reporting.statistics.samples import Array, Sample

FEWEST = 20  # images, and ...
FEWEST_PER_CLASS = 4  # ... for each class that occurs in a score
_PRIOR = 1.0  # degrees of freedom by which the spread of all classes counts in that of one
_HIDDEN = 0.1  # smallest 1 - h: an image that holds all of a class has residual 0 anyway
_SEEN = 0.3  # smallest 1 - h in the bias
_TINY = 1e-12


@dataclass(frozen=True)
class Estimate:
    """Scores of a row, each of G entries.

    Attributes:
        value: mean over seeds.
        low: lower end of the 95 % interval; NaN where there are too few images for one.
        high: upper end.
        seeds_sd: standard deviation over seeds; NaN with one seed.
    """

    value: Array
    low: Array
    high: Array
    seeds_sd: Array


def estimate(row: Sample, spread: Array, freedom: Array, *, level: float = 0.95) -> Estimate:
    """Scores with intervals.

    Args:
        row: its counts.
        spread: (G,) variance of one training; 0 if unknown, then the interval is that of this network on other images.
        freedom: (G,) degrees of freedom of `spread`.
        level: of the interval.
    """
    variance, below, bias, enough = _of_images(row)
    of_seeds = spread / len(row.trainings)
    whole = variance + of_seeds
    below = below + np.divide(of_seeds**2, freedom, out=np.zeros_like(whole), where=freedom > 0)
    degrees = np.maximum(whole**2 / np.maximum(below, _TINY**2), 1)
    half = np.where(enough, stdtrit(degrees, (1 + level) / 2) * np.sqrt(whole), np.nan)
    sd = row.point.std(0, ddof=1) if len(row.point) > 1 else np.full(len(whole), np.nan)
    low, high = row.value - half + np.minimum(bias, 0), row.value + half + np.maximum(bias, 0)
    return Estimate(row.value, np.clip(low, 0, 1), np.clip(high, 0, 1), sd)


def _of_images(row: Sample) -> tuple[Array, Array, Array, Array]:
    """Per score (G,): variance over images, that squared over its freedom, bias to undo, and whether all is known."""
    hits, unions = row.mean_counts()  # (N, K)
    total = unions.sum(0)
    present = total > 0
    size = np.where(present, total, 1)
    ratio = hits.sum(0) / size
    share = unions / size
    concentration = (share**2).sum(0)  # 1 / n for a class of n equal images
    residual = (hits - ratio * unions) / size
    expected = (share**2 * (1 - 2 * share + concentration)).sum(0)  # of the squared residuals, in units of the spread
    images = np.divide(1, concentration, out=np.zeros_like(size), where=present)
    known = np.where(expected > _TINY, np.maximum(images - 1, 0), 0)
    own = np.divide((residual**2).sum(0), expected, out=np.zeros_like(size), where=expected > _TINY)
    block = (row.means > 0).argmax(1)  # the first score that a ratio is in: its classes know the spread together
    together = np.zeros_like(size)
    for first in np.unique(block):
        inside = block == first
        together[inside] = (known * own)[inside].sum() / max(known[inside].sum(), _TINY)
    of_ratio = (known * own + _PRIOR * together) / (known + _PRIOR) * concentration
    scaled = residual / np.sqrt(np.maximum(1 - share, _HIDDEN))

    weight = row.means * present[:, None]
    count = np.maximum(weight.sum(0), 1)  # (G,)
    joint = ((scaled @ weight) ** 2).sum(0) - (scaled**2 @ weight**2).sum(0)  # of different classes in an image
    variance = (of_ratio @ weight**2 + np.maximum(joint, 0)) / count**2
    below = (of_ratio**2 / (known + _PRIOR)) @ weight**4 / count**4
    bias = (residual * share / np.maximum(1 - share, _SEEN)).sum(0) @ weight / count
    unseen = (present & (hits.sum(0) == 0)) @ weight
    fewest = np.maximum(FEWEST, FEWEST_PER_CLASS * (weight > 0).sum(0))
    return variance, below, bias, (unseen == 0) & (weight.sum(0) > 0) & (row.images >= fewest)
