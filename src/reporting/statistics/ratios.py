"""From the counts of a row's runs to the ratios whose means are its scores."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from src.data.config import check_expression
from src.data.files.splits import group_of
from src.reporting.counts import Counts
from src.reporting.statistics.samples import Sample
from src.scoring.metrics import RADII, hits_and_unions

TRIMAPS = tuple(f"trimap_miou_{radius}px" for radius in RADII)
WHOLE = ("miou", "pixel_accuracy", *TRIMAPS, "mean_accuracy", "boundary_iou", "frequency_weighted_iou")
"""Names of the first scores of a row, in the order of its arrays; the IoU of each class follow."""


def units(expressions: Sequence[str | None], ids: Sequence[str]) -> npt.NDArray[np.intp]:
    """(N,) number of the group of each image: what is swapped and resampled together.

    Args:
        expressions: `data.group` of each run; None: each image is a group of its own. Groups of several expressions
            that share an image are joined, so that what belongs together for one run is not torn.
        ids: of the images.

    Raises:
        InputError: an expression is none, or finds no group in an id.
    """
    found: npt.NDArray[np.intp] | None = None
    for expression in dict.fromkeys(one for one in expressions if one is not None):
        check_expression("data.group", expression)
        places = np.unique([group_of(expression, image) for image in ids], return_inverse=True)[1]
        if found is not None:
            links = coo_array((np.ones(len(ids)), (found, places + len(ids))), shape=(2 * len(ids),) * 2)
            joined = connected_components(links, directed=False)[1][found]
            places = np.unique(joined, return_inverse=True)[1]
        found = places
    return np.arange(len(ids)) if found is None else found


def sample(
    runs: Sequence[Counts], variant: str, trainings: Sequence[str], groups: npt.NDArray[np.intp] | None = None
) -> Sample:
    """The sample of a row.

    Args:
        runs: the counts of each training.
        variant: of the row.
        trainings: their names.
        groups: (N,) number of the group of each image in the order of the ids; counts of a group are added up. None:
            each image is a group of its own.
    """
    classes = len(runs[0].classes)
    stacked = []
    for found in runs:
        margin = found.margins[variant]  # (N, 3, C)
        whole = hits_and_unions(margin).astype(np.float32)  # (N, 2, C)
        pixels = margin[:, :2].sum(-1)[..., None]  # (N, 2, 1)
        near = found.trimaps.get(variant, np.zeros((len(whole), len(RADII), 2, classes), np.int32))
        bands = near.transpose(0, 2, 1, 3).reshape(len(whole), 2, -1)
        edges = found.boundaries.get(variant, np.zeros(whole.shape, np.int32))
        every = [whole, pixels, bands, margin[:, :2], edges]
        stacked.append(_of_groups(np.concatenate(every, axis=2, dtype=np.float32)[found.order], groups))
    both = np.stack(stacked)  # (S, N, 2, K)
    true = runs[0].margins[variant][:, 1].sum(0)  # (C,) pixels, the same for all runs
    return Sample(both[:, :, 0], both[:, :, 1], _means(classes, true / max(true.sum(), 1)), tuple(trainings))


def _of_groups(counts: npt.NDArray[np.float32], groups: npt.NDArray[np.intp] | None) -> npt.NDArray[np.float32]:
    """(G, 2, K) sums over the images of each group, from (N, 2, K)."""
    if groups is None:
        return counts
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    return np.add.reduceat(counts[order].astype(np.float64), starts).astype(np.float32)


def _means(classes: int, frequency: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The weights of the ratios in each score.

    The ratios: IoU of C classes, pixel accuracy, IoU of C classes per trimap, accuracy of C classes, Boundary
    IoU of C classes.
    """
    sizes = [classes, 1, *[classes] * len(RADII), classes, classes]
    ends = np.cumsum(sizes)
    weights = np.zeros((ends[-1], len(WHOLE) + classes))
    for score, (size, end) in enumerate(zip(sizes, ends, strict=True)):
        weights[end - size : end, score] = 1
    weights[:classes, WHOLE.index("frequency_weighted_iou")] = frequency
    weights[range(classes), range(len(WHOLE), len(WHOLE) + classes)] = 1
    return weights
