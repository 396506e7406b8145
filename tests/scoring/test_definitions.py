"""Each definition gives the number of the library that has it, on the same labels."""

import numpy as np
import pytest
import torch
from torchmetrics.functional.segmentation import mean_iou
from torchmetrics.segmentation import MeanIoU

from src.scoring.confusion import confusion_matrix
from src.scoring.definitions import DEFINITIONS
from src.scoring.metrics import margins

CLASSES = 7
VALUE = {one.key: one.value for one in DEFINITIONS}


@pytest.fixture(scope="module")
def labels():
    """Predictions and truth (N, H, W): class 6 does not occur, class 5 is only predicted, 3 and 4 in few images."""
    random = np.random.default_rng(0)
    target = random.integers(0, 3, (6, 20, 30))
    target[0, :5], target[1, 3:9] = 3, 4
    predicted = np.where(random.random(target.shape) < 0.7, target, random.integers(0, 4, target.shape))
    predicted[2, :4] = 5
    return torch.from_numpy(predicted), torch.from_numpy(target)


@pytest.fixture(scope="module")
def counted(labels):
    return np.stack([margins(confusion_matrix(*pair, CLASSES).numpy()) for pair in zip(*labels, strict=True)])


def ious(predicted, target):
    """Per class, of all pixels together; NaN for a class without pixels."""
    both = [((predicted == k) & (target == k)).sum() for k in range(CLASSES)]
    either = [((predicted == k) | (target == k)).sum() for k in range(CLASSES)]
    return np.array([float(b / e) if e else np.nan for b, e in zip(both, either, strict=True)])


def test_torchmetrics_class_and_function(labels, counted):
    for batch in (1, 4):
        metric = MeanIoU(CLASSES, input_format="index")
        for predicted, target in zip(*(one.split(batch) for one in labels), strict=True):
            metric.update(predicted, target)
        assert VALUE["image_classes"](counted, 0) == pytest.approx(float(metric.compute()), abs=1e-6)
    found = mean_iou(*labels, CLASSES, input_format="index")
    assert VALUE["images"](counted, 0) == pytest.approx(float(found.mean()), abs=1e-6)


def test_rules_as_they_are_documented(labels, counted):
    found = ious(*labels)
    assert VALUE["truth"](counted, 0) == pytest.approx(found[:5].mean())
    assert VALUE["absent_as_0"](counted, 0) == pytest.approx(np.nan_to_num(found).mean())
    assert VALUE["no_background"](counted, 0) == pytest.approx(np.nanmean(found[1:]))
    assert np.isnan(VALUE["no_background"](counted, None))
    assert len({round(VALUE[key](counted, 0), 6) for key in VALUE}) == len(VALUE)  # the labels tell all rules apart


def test_ultralytics(labels, counted):
    metrics = pytest.importorskip("ultralytics.utils.metrics", reason="Ultralytics is not installed")
    found = metrics.SemanticMetrics({k: str(k) for k in range(CLASSES)})
    found.update_stats(*labels)
    found.process()
    assert VALUE["truth"](counted, 0) == pytest.approx(found.miou, abs=1e-6)


def test_mmsegmentation(labels, counted):
    iou = pytest.importorskip("mmseg.evaluation.metrics", reason="mmsegmentation is not installed").IoUMetric
    areas = [iou.intersect_and_union(*pair, CLASSES, 255) for pair in zip(*labels, strict=True)]
    sums = [sum(one) for one in zip(*areas, strict=True)]
    found = iou.total_area_to_metrics(*sums, ["mIoU"], nan_to_num=0)["IoU"]
    assert VALUE["absent_as_0"](counted, 0) == pytest.approx(found.mean(), abs=1e-6)
