"""What chance alone does to the differences of a table: other images, and other seeds.

Each pair of rows gets draws of its difference as if the two were equal. Those of the images are swaps. To those of the
seeds, a random error of the mean over trainings is added. The sum is stretched as Student's t with the degrees of
freedom of the whole: if only seeds vary, it is exactly t; if only images vary, nothing is stretched. An image that is
hard for one training and easy for the next is seen in both, so this part is taken out of the swaps.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from src.reporting.statistics.samples import Array, Sample
from src.reporting.statistics.seeds import Errors, Spread, spread_of
from src.reporting.statistics.swaps import Swapped


@dataclass(frozen=True)
class Pair:
    """A row and its baseline. If they share trainings, only these are compared: others would disturb.

    Attributes:
        row: counts of the row.
        baseline: counts of the baseline.
        places: of both in the table.
    """

    row: Sample
    baseline: Sample
    places: tuple[int, int]

    @classmethod
    def of(cls, rows: Sequence[Sample], row: int, baseline: int) -> "Pair":
        """Pair two rows of a table."""
        one, other = rows[row], rows[baseline]
        shared = [name for name in one.trainings if name in other.trainings]
        return cls(one.of(shared), other.of(shared), (row, baseline)) if shared else cls(one, other, (row, baseline))

    @property
    def is_within(self) -> bool:
        """Whether both come from the same trainings."""
        return self.row.trainings == self.baseline.trainings


@dataclass(frozen=True)
class Chance:
    """Draws (P, R, G) of differences without cause, their scale (P, G), and which spread of seeds is in them.

    Attributes:
        draws: of swaps and seeds; None if no spread of seeds is known.
        scale: standard deviation, near enough to compare rows.
        with_seeds: (P,) whether the spread of seeds is in the draws of a pair.
        is_pooled: whether all pairs share one spread of seeds, in the first score.
    """

    draws: npt.NDArray[np.float32] | None
    scale: Array
    with_seeds: tuple[bool, ...]
    is_pooled: bool


def with_seeds(
    rows: Sequence[Sample], pairs: Sequence[Pair], spread: Spread, images: Swapped, *, draws: int, seed: int
) -> Chance:
    """Add errors of seeds to swaps.

    Args:
        rows: of the table.
        pairs: P of them.
        spread: of the trainings of each row.
        images: swaps of the pairs.
        draws: R.
        seed: of random numbers.
    """
    scale = images.scale
    inside = [place for place, pair in enumerate(pairs) if pair.is_within]
    within = _within([pairs[place] for place in inside], scale[inside]) if inside else None
    used = [within if pair.is_within else spread for pair in pairs]
    known = tuple(one is not None and one.is_known for one in used)
    is_pooled = all(bool(one.pooled[0]) for one in used if one is not None)
    if not any(known):
        return Chance(None, scale, known, is_pooled)
    ways = images.draws.shape[1]
    if ways < draws:  # all ways of swapping are there: each counts as often as the others
        draws -= draws % ways
    found = np.take(images.draws, np.arange(draws) % ways, axis=1)
    errors = Errors(draws, seed)
    of_row = _interaction([row.influences for row in rows])
    for place, pair in enumerate(pairs):
        if not known[place]:
            continue
        count = len(pair.row.trainings)
        if within is not None and pair.is_within:
            unit = inside.index(place)
            noise = _interaction([pair.row.influences - pair.baseline.influences])[0] / count
            added = errors.of(within, unit) * scale[place]
            variance = within.variance[unit] / count * scale[place] ** 2
            below = variance**2 / np.maximum(within.freedom[unit], 1)
            pooled = within.pooled
        else:
            both = [(k, len(one.trainings)) for k, one in zip(pair.places, (pair.row, pair.baseline), strict=True)]
            noise = sum((of_row[k] / size for k, size in both), np.zeros(scale.shape[1]))
            added = errors.of(spread, both[0][0]) - errors.of(spread, both[1][0])
            parts = [spread.variance[k] / size for k, size in both]
            variance = np.asarray(sum(parts))
            welch = sum(part**2 / spread.freedom[k] for part, (k, _) in zip(parts, both, strict=True))
            pooled = spread.pooled
            below = np.where(pooled, variance**2 / spread.freedom[both[0][0]], welch)
        of_images = np.maximum(scale[place] ** 2 - noise, 0)
        found[place] *= np.sqrt(of_images) / np.where(scale[place] > 0, scale[place], 1)
        found[place] += added
        # Swaps also hold the difference itself, which says nothing about images.
        apart = ((pair.row.influences.mean(0) - pair.baseline.influences.mean(0)) ** 2).sum(0)
        freedom = (np.clip(apart - noise, 0, of_images) + variance) ** 2 / np.maximum(
            below, 1e-300
        )  # images count as many (Satterthwaite 1946)
        found[place] *= errors.stretch(freedom, pooled)
        scale[place] = np.sqrt(of_images + variance)
    return Chance(found, scale, known, is_pooled)


def _within(pairs: Sequence[Pair], scale: Array) -> Spread:
    """The spread over trainings of differences within the same trainings, in units of their scale over images.

    A variant that changes twice as many pixels has twice the scale over images and, likely, over seeds.
    """
    unit = np.where(scale > 0, scale, np.inf)
    deviations = [
        (pair.row.deviations - pair.baseline.deviations) / size for pair, size in zip(pairs, unit, strict=True)
    ]
    return spread_of(deviations, [pair.row.trainings for pair in pairs])


def _interaction(influences: Sequence[Array]) -> Array:
    """(P, G) variance over images of one training around the mean of its row, from (S, N, G) of each row.

    Rows of one training get the mean of the others, or 0.
    """
    found = np.stack([((one - one.mean(0)) ** 2).sum((0, 1)) / max(len(one) - 1, 1) for one in influences])
    several = np.array([len(one) > 1 for one in influences])
    if several.any():
        found[~several] = found[several].mean(0)
    return found
