"""What a reader must know about the statistics of a table, in sentences."""

from collections.abc import Sequence

import numpy as np

from src.reporting.statistics.intervals import FEWEST, FEWEST_PER_CLASS
from src.reporting.statistics.samples import Sample
from src.reporting.statistics.verdicts import Analysis

LEVEL = 0.05
_COARSE = 0.02  # error of a p near the level that is worth a word


def limits(images: int, swaps: int, unit: str = "image") -> list[str]:
    """What so many images (or groups of them, the `unit`) and swaps cannot decide, known before anything is swapped.

    The number of rows plays no part: one way to swap serves all of them, and the largest difference of the table is
    compared with the largest by chance. So the smallest p is 2 / 2^N where all ways are tried, else 1 / (swaps + 1).
    """
    # The smallest p of all ways to swap: as they are, and with both rows exchanged.
    if 2 ** (1 - images) >= LEVEL:
        return [
            f"Only {images} {unit}{'s' if images > 1 else ''}: no verdict is possible. A difference on every {unit} "
            f"has p = {2 ** (1 - images):.2g}."
        ]
    error = _error(LEVEL, swaps)
    if 2 ** (images - 1) > swaps and error > _COARSE:
        return [
            f"resamples={swaps}: so few swaps know a p near {LEVEL} only to ± {error:.3f}, so another choice of them "
            f"may turn a verdict; 10000 know it to ± {_error(LEVEL, 10_000):.3f}, however many rows there are."
        ]
    return []


def _error(p: float, swaps: int) -> float:
    """Half the width of the 95 % interval of a p-value from random swaps."""
    return float(1.96 * np.sqrt(p * (1 - p) / swaps))


def sentences(
    labels: Sequence[str], rows: Sequence[Sample], found: Analysis, swaps: int, unit: str = "image"
) -> list[str]:
    """Sentences on rows of the same images.

    Args:
        labels: names of the rows.
        rows: their counts.
        found: what was computed of them.
        swaps: how many ways were tried at most.
        unit: what is swapped, "image" or "group".
    """
    images = rows[0].images
    compared = [(label, row, one) for label, row, one in zip(labels, rows, found.differences, strict=True) if one]
    said = limits(images, swaps, unit) if compared else []
    near = [
        label
        for label, _, one in compared
        if not (found.exact and not one.with_seeds) and abs(one.corrected[0] - LEVEL) < _error(one.corrected[0], swaps)
    ]
    if near:
        said.append(
            f"p of {listed(near)} is nearer to {LEVEL} than {swaps:,} swaps can tell, so another choice of swaps may "
            "turn the verdict; give more with resamples=."
        )
    alone = [label for label, one in zip(labels, found.estimates, strict=True) if np.isnan(one.low[0])]
    if alone:
        classes = max(int(((row.mean_counts()[1].sum(0) > 0) & (row.means[:, 0] > 0)).sum()) for row in rows)
        why = (
            f"fewer than {FEWEST} {unit}s"
            if images < FEWEST
            else f"{images} {unit}s are fewer than {FEWEST_PER_CLASS} for each of {classes} classes"
            if images < FEWEST_PER_CLASS * classes
            else "a class has not one right pixel, so nothing is known about it"
        )
        whose = "single rows" if len(alone) == len(labels) else listed(alone)
        said.append(f"No interval for the mIoU of {whose}: {why}.")
    if any(not one.with_seeds for _, _, one in compared):
        said.append(
            "One seed: verdicts and intervals ask whether this network is better than that one on other images of this "
            "kind. Training again may turn them."
        )
    elif any(len(row.trainings) == 1 for row in rows) and not compared:
        said.append("One seed: intervals hold the choice of images; training again would widen them.")
    borrowed = [label for label, row, one in compared if one.with_seeds and len(row.trainings) == 1]
    if borrowed:
        has = "have" if len(borrowed) > 1 else "has"
        said.append(f"{listed(borrowed)} {has} one seed: the spread of seeds is taken from the other rows.")
    fewer = [f"{label} ({one.trainings})" for label, row, one in compared if one.trainings < len(row.trainings)]
    if fewer:
        said.append(f"Compared on the seeds that they share with the baseline, not on all: {listed(fewer)}.")
    if not found.is_pooled:
        said.append(
            "The spreads of seeds of the rows differ too much to be pooled (Bartlett's test at 5 %): each row has its "
            "own, and a row of one seed the largest."
        )
    return said


def listed(names: Sequence[str], most: int = 12) -> str:
    """The names with commas and an "and"; beyond `most`, only how many more there are."""
    shown = [*names[:most], *([f"{len(names) - most} more"] if len(names) > most else [])]
    return shown[0] if len(shown) == 1 else ", ".join(shown[:-1]) + " and " + shown[-1]
