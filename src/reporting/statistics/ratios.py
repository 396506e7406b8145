"""From the counts of a row's runs to the ratios whose means are its scores."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from src.reporting.counts import Counts
from src.reporting.statistics.samples import Sample
from src.scoring.metrics import RADII, hits_and_unions

TRIMAPS = tuple(f"trimap_miou_{radius}px" for radius in RADII)
WHOLE = ("miou", "pixel_accuracy", *TRIMAPS)
"""Names of the first scores of a row, in the order of its arrays; the IoU of each class follow."""


def sample(runs: Sequence[Counts], variant: str, trainings: Sequence[str]) -> Sample:
    """The sample of a row.

    Args:
        runs: the counts of each training.
        variant: of the row.
        trainings: their names.
    """
    classes = len(runs[0].classes)
    stacked = []
    for found in runs:
        margin = found.margins[variant]  # (N, 3, C)
        whole = hits_and_unions(margin).astype(np.float32)  # (N, 2, C)
        pixels = margin[:, :2].sum(-1)[..., None]  # (N, 2, 1)
        near = found.trimaps.get(variant, np.zeros((len(whole), len(RADII), 2, classes), np.int32))
        bands = near.transpose(0, 2, 1, 3).reshape(len(whole), 2, -1)
        stacked.append(np.concatenate([whole, pixels, bands], axis=2, dtype=np.float32)[found.order])
    both = np.stack(stacked)  # (S, N, 2, K)
    return Sample(both[:, :, 0], both[:, :, 1], _means(classes), tuple(trainings))


def _means(classes: int) -> npt.NDArray[np.bool_]:
    """Which ratios are averaged in each score; the ratios: C classes, all pixels, C classes per trimap."""
    blocks = [slice(0, classes), slice(classes, classes + 1)]
    blocks += [slice(classes + 1 + k * classes, classes + 1 + (k + 1) * classes) for k in range(len(RADII))]
    member = np.zeros((blocks[-1].stop, len(WHOLE) + classes), dtype=bool)
    for score, block in enumerate(blocks):
        member[block, score] = True
    member[range(classes), range(len(blocks), len(blocks) + classes)] = True
    return member
