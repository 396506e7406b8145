"""From the counts of a row's runs to the ratios whose means are its scores."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from src.reporting.counts import Counts
from src.reporting.statistics.samples import Sample
from src.scoring.metrics import RADII, hits_and_unions

TRIMAPS = tuple(f"trimap_miou_{radius}px" for radius in RADII)
WHOLE = ("miou", "pixel_accuracy", *TRIMAPS, "mean_accuracy", "frequency_weighted_iou")
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
        every = [whole, pixels, bands, margin[:, :2]]
        stacked.append(np.concatenate(every, axis=2, dtype=np.float32)[found.order])
    both = np.stack(stacked)  # (S, N, 2, K)
    true = runs[0].margins[variant][:, 1].sum(0)  # (C,) pixels, the same for all runs
    return Sample(both[:, :, 0], both[:, :, 1], _means(classes, true / max(true.sum(), 1)), tuple(trainings))


def _means(classes: int, frequency: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The weights of the ratios in each score.

    The ratios: IoU of C classes, pixel accuracy, IoU of C classes per trimap, accuracy of C classes.
    """
    sizes = [classes, 1, *[classes] * len(RADII), classes]
    ends = np.cumsum(sizes)
    weights = np.zeros((ends[-1], len(WHOLE) + classes))
    for score, (size, end) in enumerate(zip(sizes, ends, strict=True)):
        weights[end - size : end, score] = 1
    weights[:classes, WHOLE.index("frequency_weighted_iou")] = frequency
    weights[range(classes), range(len(WHOLE), len(WHOLE) + classes)] = 1
    return weights
