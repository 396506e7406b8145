"""What a table can find: the smallest true difference that its verdicts would show in four of five such tables.

A difference of two rows varies for three reasons: other images, in which the rows differ lastingly (`images`), other
trainings (`seeds`), and images that are hard for one training and easy for the next (`interaction`). More images shrink
the first and the third, more seeds the second and the third. A verdict asks whether the difference is larger than a
bound, which grows with the number of rows (max-T) and shrinks with what is known of the seeds (Student's t), see
`verdicts`. So the power is a tail of the noncentral t-distribution (Cohen: Statistical Power Analysis, 1988).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from scipy.special import chdtri, nctdtr, ndtr

from src.reporting.statistics.samples import Array, Sample

POWER, LEVEL = 0.8, 0.05
MOST_SEEDS, MOST_IMAGES = 1000, 1_000_000
_DRAWS = 20_000  # of the largest of several differences
_NORMAL = 1e4  # degrees of freedom beyond which t is normal


@dataclass(frozen=True)
class Spreads:
    """Standard deviations, as fractions of mIoU.

    Attributes:
        images: of what one image adds to the lasting difference of two rows.
        seeds: of a training around its row, on images without end.
        interaction: of what one image adds to a training, and not to the next of its row.
        shared: whether the compared rows come from the same trainings; then the last two are those of differences.
    """

    images: float
    seeds: float
    interaction: float = 0.0
    shared: bool = False


@dataclass(frozen=True)
class Design:
    """The size of a table.

    Attributes:
        images: that are scored.
        seeds: of each row; math.inf is a limit.
        compared: rows with a difference.
        trained: rows of trainings of their own, the baseline included.
    """

    images: int
    seeds: float
    compared: int
    trained: int


def parts_of(rows: Sequence[Sample], *, shared: bool) -> tuple[float | None, float | None, float | None]:
    """Images, seeds and interaction as in `Spreads`, from rows of a pilot; None for what it does not tell.

    Args:
        rows: with the same images in the same order; the first is compared with the others, in the first score.
        shared: whether all come from the same trainings.
    """
    count = rows[0].images
    if shared:
        rows = [row.of(rows[0].trainings) for row in rows]
        moved = [(row.influences - rows[0].influences)[:, :, 0] for row in rows[1:]]  # (S, N) each
        apart = [(row.deviations - rows[0].deviations)[:, 0] for row in rows[1:]]
    else:
        moved = [row.influences[:, :, 0] for row in rows]
        apart = [row.deviations[:, 0] for row in rows]
    freedom = sum(len(one) - 1 for one in moved)
    whole = own = None
    if freedom > 0:
        whole = sum(float((one**2).sum()) for one in apart) / freedom
        own = sum(float(((one - one.mean(0)) ** 2).sum()) for one in moved) / freedom
    lasting = []
    for one in moved[0 if shared else 1 :]:
        mean, sizes = (
            (one.mean(0), [len(one)]) if shared else (one.mean(0) - moved[0].mean(0), [len(one), len(moved[0])])
        )
        found = float(((mean - mean.mean()) ** 2).sum())
        lasting.append(max(0.0, found - (own or 0.0) * sum(1 / size for size in sizes)))
    images = math.sqrt(float(np.median(lasting)) * count) if lasting else None
    if whole is None or own is None:
        return images, None, None
    return images, math.sqrt(max(0.0, whole - own)), math.sqrt(own * count)


def error(spreads: Spreads, design: Design) -> tuple[float, float]:
    """Standard error of a difference, and the degrees of freedom with which it is known."""
    of_seeds = (spreads.seeds**2 + spreads.interaction**2 / design.images) * (1 if spreads.shared else 2) / design.seeds
    if design.seeds == 1:  # then the question is about these trainings
        of_seeds -= spreads.seeds**2 * (1 if spreads.shared else 2)
    whole = spreads.images**2 / design.images + of_seeds
    if design.seeds == 1 or math.isinf(design.seeds) or of_seeds == 0:
        return math.sqrt(whole), math.inf
    known = (1 if spreads.shared else design.trained) * (design.seeds - 1)
    return math.sqrt(whole), known * (whole / of_seeds) ** 2  # images count as many (Satterthwaite 1946)


def power(difference: float, spreads: Spreads, design: Design) -> float:
    """How often a true difference is found, if chance alone may find one in 5 % of tables.

    The swaps of images hold the difference itself, which makes the bound a little larger.
    """
    size, freedom = error(spreads, design)
    if size == 0:
        return 1.0
    shift = difference / size
    bound = _bound(design.compared, freedom) * math.sqrt(1 + shift**2 / design.images)
    return float(ndtr(shift - bound) if freedom > _NORMAL else 1 - nctdtr(freedom, shift, bound))


def smallest(spreads: Spreads, design: Design, *, wanted: float = POWER) -> float:
    """The smallest true difference, as a fraction of mIoU, that is found with the wanted power; inf if none is."""
    low, high = 0.0, 1.0
    if power(high, spreads, design) < wanted:
        return math.inf
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if power(middle, spreads, design) >= wanted else (middle, high)
    return high


def seeds_for(difference: float, spreads: Spreads, design: Design) -> int | None:
    """The fewest seeds of each row, at least two, with which a difference is found; None if 1000 are too few."""
    return _fewest(lambda seeds: power(difference, spreads, replace(design, seeds=seeds)), 2, MOST_SEEDS)


def images_for(difference: float, spreads: Spreads, design: Design) -> int | None:
    """The fewest images with which a difference is found with any number of seeds; None if a million are too few."""
    endless = replace(design, seeds=math.inf)
    return _fewest(lambda images: power(difference, spreads, replace(endless, images=images)), 1, MOST_IMAGES)


def _fewest(power_with: Callable[[int], float], least: int, most: int) -> int | None:
    """The smallest number with the wanted power, which rises with it; None if it is above `most`."""
    if power_with(most) < POWER:
        return None
    low, high = least - 1, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power_with(middle) >= POWER else (middle, high)
    return high


def limit(spreads: Spreads, design: Design) -> float:
    """The smallest difference that is found with any number of seeds: the images limit it."""
    return smallest(spreads, replace(design, seeds=math.inf))


def _bound(compared: int, freedom: float) -> float:
    """What the largest of several differences exceeds by chance in 5 % of tables, in standard errors.

    All are to one baseline, so any two of them have the correlation 1/2 (Dunnett 1955).
    """
    largest, uniform = _largest(compared)
    if freedom <= _NORMAL:
        largest = largest / np.sqrt(chdtri(freedom, uniform) / freedom)
    return float(np.quantile(largest, 1 - LEVEL))


@cache
def _largest(compared: int) -> tuple[Array, Array]:
    random = np.random.default_rng(0)
    both = random.standard_normal((_DRAWS, compared)) + random.standard_normal((_DRAWS, 1))
    return np.abs(both).max(1) / math.sqrt(2), random.random(_DRAWS)
