"""The spread of seeds: what training again would change, known from all rows of a table together.

Two or three seeds of one row say little about their spread. If the rows of a table have the same spread, all of them
together say more: four rows of three seeds have 4 * (3 - 1) = 8 degrees of freedom instead of 2 (the pooled variance of
an analysis of variance). Whether the spreads are equal enough is checked by Bartlett's test at 5 %. Where they are not,
each row keeps its own spread, and a row of one seed gets the largest.

Rows that come from the same trainings, such as the variants of a network, are not independent: what they know together
is worth fewer degrees of freedom (`_freedom`), and their errors move together (`errors`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import chdtrc, chdtri, ndtr

from src.reporting.statistics.samples import Array

_LEVEL = 0.05  # of Bartlett's test
_NORMAL = 1e4  # degrees of freedom beyond which t is normal
_GRID = np.linspace(-4.5, 4.5, 181)  # of normal quantiles


@dataclass(frozen=True)
class Spread:
    """The spread of one training around the mean of its row, for P rows and G scores.

    Attributes:
        deviations: per row (S, G), from the row's mean.
        trainings: per row the names of the S trainings.
        variance: (P, G); 0 if no row has two trainings.
        freedom: (P, G) degrees of freedom of `variance`; 0 if no row has two trainings.
        pooled: (G,) bool: one variance for all rows.
    """

    deviations: list[Array]
    trainings: list[tuple[str, ...]]
    variance: Array
    freedom: Array
    pooled: npt.NDArray[np.bool_]

    @property
    def is_known(self) -> bool:
        """Whether any row has two trainings."""
        return bool((self.freedom > 0).any())


def spread_of(deviations: Sequence[Array], trainings: Sequence[tuple[str, ...]]) -> Spread:
    """The spread within P rows, pooled where that is fair.

    Args:
        deviations: per row (S, G), from the row's mean, in units in which the spreads of rows may be equal.
        trainings: per row the names of the S trainings.
    """
    scores = deviations[0].shape[1]
    freedom = np.array([len(found) - 1 for found in deviations], dtype=np.float64)  # (P,)
    squares = np.stack([np.nan_to_num(found**2).sum(0) for found in deviations])  # (P, G)
    own = squares / np.maximum(freedom, 1)[:, None]
    if not (freedom > 0).any():
        zeros = np.zeros((len(freedom), scores))
        return Spread([*deviations], [*trainings], zeros, zeros, np.ones(scores, dtype=bool))
    pooled = np.broadcast_to(squares.sum(0) / freedom.sum(), own.shape)
    fair = _bartlett(own, freedom) >= _LEVEL
    # A row of one training has no spread of its own.
    largest = own.argmax(0)
    alone = freedom == 0
    kept = np.where(alone[:, None], own.max(0), own)
    kept_freedom = np.where(alone[:, None], freedom[largest], freedom[:, None])
    together = np.broadcast_to(_freedom(deviations, trainings, freedom), own.shape)
    return Spread(
        [*deviations],
        [*trainings],
        np.where(fair, pooled, kept),
        np.where(fair, together, kept_freedom),
        np.asarray(fair),
    )


def _bartlett(own: Array, freedom: Array) -> Array:
    """(G,) p-values of Bartlett's test that the variances (P, G) are equal; 1 if there are fewer than two (1937)."""
    several = freedom > 0
    own, freedom = own[several], freedom[several]
    total, rows = freedom.sum(), len(freedom)
    if rows < 2:
        return np.ones(own.shape[1])
    least = 1e-12 + 1e-6 * own.max(0)  # rows without any spread are not fair to the others, but log(0) is no number
    logs = np.log(np.maximum(own, least))
    pooled = np.log(np.maximum(freedom @ own / total, least))
    statistic = total * pooled - freedom @ logs
    correction = 1 + ((1 / freedom).sum() - 1 / total) / (3 * (rows - 1))
    return np.asarray(chdtrc(rows - 1, np.maximum(statistic / correction, 0)))


def _freedom(deviations: Sequence[Array], trainings: Sequence[tuple[str, ...]], freedom: Array) -> Array:
    """(G,) degrees of freedom of the pooled variance.

    Independent rows add theirs. Rows of the same trainings with correlation r share r squared of them (Satterthwaite).
    """
    units = [np.nan_to_num(found / np.maximum(np.sqrt((found**2).sum(0)), 1e-12)) for found in deviations]
    shared = np.zeros(deviations[0].shape[1])
    groups: dict[tuple[str, ...], list[int]] = {}
    for row, names in enumerate(trainings):
        groups.setdefault(names, []).append(row)
    for members in groups.values():
        stacked = np.stack([units[row] for row in members])  # (P, S, G)
        correlation = np.einsum("psg,qsg->pqg", stacked, stacked)
        np.einsum("ppg->pg", correlation)[:] = 1
        shared += freedom[members[0]] * (correlation**2).sum((0, 1))
    return np.asarray(freedom.sum() ** 2 / np.maximum(shared, 1e-12))


class Errors:
    """Random errors of means over trainings, and how much wider they get because their spread is only estimated.

    The same training has the same luck in every row, so rows whose scores have moved together go on to do so.
    """

    def __init__(self, draws: int, seed: int = 0) -> None:
        self.random = np.random.default_rng([seed, 1])
        self.draws = draws
        self.luck: dict[str, Array] = {}
        self.common = self.random.standard_normal(draws)

    def of(self, spread: Spread, row: int) -> Array:
        """(R, G) normal errors of the mean of a row."""
        deviations, names = spread.deviations[row], spread.trainings[row]
        for name in names:
            if name not in self.luck:
                self.luck[name] = self.random.standard_normal(self.draws)
        luck = np.stack([self.luck[name] for name in names], axis=1)  # (R, S)
        length = np.sqrt(np.nan_to_num(deviations**2).sum(0))
        even = np.full(deviations.shape, 1 / np.sqrt(len(names)))
        unit = np.where(length > 0, np.nan_to_num(deviations) / np.where(length > 0, length, 1), even)
        return np.asarray((luck @ unit) * np.sqrt(spread.variance[row] / len(names)))

    def stretch(self, freedom: Array, pooled: npt.NDArray[np.bool_]) -> Array:
        """(R, G) factors that make normal draws Student's t with `freedom` (G,).

        Where the spread is pooled, it is too small or too large in all rows at once, so their factors go together.
        """
        own = self.random.standard_normal(self.draws)
        found = np.ones((self.draws, len(freedom)))
        for score, degrees in enumerate(freedom):
            if 0 < degrees < _NORMAL:
                logs = np.log(chdtri(degrees, ndtr(-_GRID)) / degrees)
                found[:, score] = np.exp(-np.interp(self.common if pooled[score] else own, _GRID, logs) / 2)
        return found
