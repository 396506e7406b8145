"""mIoU by the rules of other libraries, from the counts of each image. No torch.

One word, many numbers: over which images and classes is the mean? Each rule is tested against the library that has it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from src.scoring.metrics import hits_and_unions, image_miou, scores_of

Margins = npt.NDArray[np.integer[Any]]
SIDE = 513  # px of the centre crop


@dataclass(frozen=True)
class Definition:
    """A way to count.

    Attributes:
        key: its name in the CSV.
        heading: of its column.
        sentence: what it counts, and who does so.
        value: from margins (N, 3, C), see `margins`, and the label of the background, or None, to a fraction; NaN if it
            does not exist.
    """

    key: str
    heading: str
    sentence: str
    value: Callable[[Margins, int | None], float]


@dataclass(frozen=True)
class Counted:
    """A definition with the values of the rows of a table, means over seeds; NaN where there is none."""

    definition: Definition
    values: list[float]


def _ious(margin: Margins) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """IoU (C,) of all images together, 0 for a class without pixels; which classes are true or predicted; are true."""
    total = margin.sum(0)
    hit, union = hits_and_unions(total)
    return hit / np.maximum(union, 1), union > 0, total[1] > 0


def _mean(values: npt.NDArray[np.float64]) -> float:
    return float(values.mean()) if values.size else float("nan")


def _of_truth(margin: Margins, background: int | None) -> float:
    iou, _, true = _ious(margin)
    return _mean(iou[true])


def _absent_as_0(margin: Margins, background: int | None) -> float:
    return _mean(_ious(margin)[0])


def _without_background(margin: Margins, background: int | None) -> float:
    iou, present, _ = _ious(margin)
    if background is None:
        return float("nan")
    present[background] = False
    return _mean(iou[present])


def _of_images(margin: Margins, background: int | None) -> float:
    found = image_miou(margin)
    return _mean(found[~np.isnan(found)])


def _of_classes_of_images(margin: Margins, background: int | None) -> float:
    hit, union = np.moveaxis(hits_and_unions(margin), -2, 0)
    return _mean((hit[union > 0] / union[union > 0]).astype(np.float64))


def _cropped(margin: Margins, background: int | None) -> float:
    return scores_of(margin.sum(0)).miou


DEFINITIONS = (
    Definition(
        *("truth", "true classes"),
        "all images together, mean over the classes of the truth: a class that is only predicted does not count "
        "(Ultralytics 8.4).",
        _of_truth,
    ),
    Definition(
        *("absent_as_0", "absent as 0"),
        "all images together, mean over all classes of the data: one that is neither true nor predicted counts as 0 "
        "(mmsegmentation with nan_to_num=0).",
        _absent_as_0,
    ),
    Definition(
        *("no_background", "objects only"),
        "as in this report, but without the background class; its pixels still count as errors of the others.",
        _without_background,
    ),
    Definition(
        *("images", "mean of images"),
        "the mIoU of each image over its own true or predicted classes, then the mean of the images (torchmetrics' "
        "function mean_iou).",
        _of_images,
    ),
    Definition(
        *("image_classes", "mean of pairs"),
        "the mean over all pairs of an image and a class that is true or predicted in it (torchmetrics' class MeanIoU, "
        "1.9).",
        _of_classes_of_images,
    ),
)
CROP = Definition(
    *("centre_crop", f"{SIDE} px crop"),
    f"short side resized to {SIDE} px, then the {SIDE} x {SIDE} px in the middle, from kept logits. The network has "
    "seen the whole image here.",
    _cropped,
)
