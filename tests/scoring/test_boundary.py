"""Boundary IoU, class by class as in the paper: erode each mask, keep what is lost, intersect."""

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_erosion

from src.scoring.confusion import BoundaryCounter
from src.scoring.metrics import boundary_iou

CLASSES = 4


def blobs(seed, height=90, width=130, void=0.0):
    """Labels (H, W) in large patches; a share of them void."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, CLASSES, (6, 8))
    coarse[random.random(coarse.shape) < void] = 255
    return coarse.repeat(15, 0).repeat(17, 1)[:height, :width].astype(np.int64)


def directly(predicted, target):
    """(2, C) hits and unions, from one mask after the other."""
    distance = max(1, round(0.02 * np.hypot(*target.shape)))
    known = target != 255
    found = []
    for label in range(CLASSES):
        bands = []
        for mask in ((target == label), (predicted == label) & known):
            inner = binary_erosion(mask, np.ones((3, 3)), iterations=distance, border_value=0)
            bands.append(mask & ~inner)
        found.append([(bands[0] & bands[1]).sum(), (bands[0] | bands[1]).sum()])
    return np.array(found).T


@pytest.mark.parametrize(("height", "width", "void"), [(90, 130, 0.0), (90, 130, 0.3), (61, 17, 0.2), (3, 4, 0.0)])
def test_it_is_that_of_the_paper(height, width, void):
    target = blobs(0, height, width, void)
    for predicted in (blobs(1, height, width), np.roll(blobs(0, height, width), 4, axis=1)):
        found = BoundaryCounter(torch.from_numpy(target), CLASSES)({"a": torch.from_numpy(predicted)})["a"]
        np.testing.assert_array_equal(found, directly(predicted, target))


def test_what_is_right_wherever_the_truth_is_known_has_1():
    whole = blobs(3)
    target = whole.copy()
    edges = np.zeros(whole.shape, dtype=bool)
    edges[:, 1:] = whole[:, 1:] != whole[:, :-1]
    target[edges | np.roll(edges, 1, 1) | np.roll(edges, -1, 1)] = 255  # as VOC leaves outlines open
    found = BoundaryCounter(torch.from_numpy(target), CLASSES)({"a": torch.from_numpy(whole)})["a"]
    assert boundary_iou(found[None]) == 1


def test_several_variants_and_more_than_255_classes():
    target, other = torch.from_numpy(blobs(0)), torch.from_numpy(blobs(1))
    few = BoundaryCounter(target, CLASSES)({"a": other, "b": target})
    many = BoundaryCounter(target + 296, 300)({"a": other + 296, "b": target + 296})
    for name in "ab":
        np.testing.assert_array_equal(many[name][:, 296:], few[name])
    assert (few["b"][0] == few["b"][1]).all() and not np.array_equal(few["a"], few["b"])


def test_an_image_without_labels_has_none():
    nothing = torch.full((5, 6), 255)
    found = BoundaryCounter(nothing, CLASSES)({"a": torch.zeros(5, 6, dtype=torch.int64)})["a"]
    assert not found.any() and boundary_iou(found[None]) is None
