import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import multiclass_confusion_matrix

from src.scoring.confusion import RingCounter, boundary_rings, confusion_matrix
from src.scoring.metrics import RADII, Stack, hits_and_unions, image_miou, margins, scores, trimap_miou


def numpy_matrix(labels, target, classes):
    matrix = np.zeros((classes, classes), dtype=np.int64)
    for truth, found in zip(target.ravel(), labels.ravel(), strict=True):
        if truth != 255:
            matrix[truth, found] += 1
    return matrix


@pytest.mark.parametrize("batch", [1, 8])
def test_confusion_matrix_is_a_count_of_pairs_whatever_the_batch(batch):
    rng = np.random.default_rng(batch)
    labels = rng.integers(0, 21, (batch, 13, 7))
    target = rng.choice([*range(21), 255], (batch, 13, 7))
    ours = confusion_matrix(torch.from_numpy(labels), torch.from_numpy(target), 21)
    assert (ours.numpy() == numpy_matrix(labels, target, 21)).all()
    oracle = multiclass_confusion_matrix(
        torch.from_numpy(labels), torch.from_numpy(target), 21, ignore_index=255, validate_args=False
    )
    assert torch.equal(ours, oracle)


def test_scores_by_hand():
    matrix = np.array([[6, 2, 0], [1, 3, 0], [0, 0, 0]])
    result = scores(matrix)
    assert result.pixel_accuracy == 9 / 12
    assert result.iou[:2].tolist() == [6 / 9, 3 / 6]
    assert np.isnan(result.iou[2])  # its union is empty: left out of the mean
    assert result.miou == pytest.approx((6 / 9 + 3 / 6) / 2)


def test_a_class_that_is_only_predicted_counts_as_zero():
    assert scores(np.array([[5, 5], [0, 0]])).miou == pytest.approx(0.25)


def test_matrices_are_summed_not_their_scores_averaged():
    stack = np.array([[[1, 0], [0, 0]], [[0, 9], [0, 90]]])
    assert scores(stack).miou == scores(stack.sum(0)).miou


def distance_by_hand(target, radius):
    """Whether a pixel has one of another label within a window."""
    height, width = target.shape
    found = np.zeros(target.shape, dtype=bool)
    for y, x in np.ndindex(height, width):
        window = target[max(0, y - radius) : y + radius + 1, max(0, x - radius) : x + radius + 1]
        found[y, x] = (window != target[y, x]).any() or window.min() != window.max()
    return found


def test_rings_are_bands_of_growing_width_around_boundaries():
    random = np.random.default_rng(0)
    target = np.zeros((40, 31), dtype=np.int64)
    target[10:25, 8:20] = 3
    target[24:26, 8:20] = 255
    rings = boundary_rings(target)
    for ring, radius in enumerate(RADII):
        assert ((rings <= ring) == distance_by_hand(target, radius)).all()
    labels = random.integers(0, 21, target.shape)
    count = RingCounter(torch.from_numpy(target), 21, torch.device("cpu"))
    both = count({"truth": torch.from_numpy(target) % 21, "other": torch.from_numpy(labels)})
    assert (np.diag(both["truth"].sum(0).diagonal()) == both["truth"].sum(0)).all()
    counted = both["other"]
    assert (counted.sum(0) == numpy_matrix(labels, target, 21)).all()
    near = np.where(rings <= 1, target, 255)
    assert (counted[:2].sum(0) == numpy_matrix(labels, near, 21)).all()


def test_scores_near_boundaries_and_of_single_images():
    matrices = np.array([[[6, 2], [1, 3]], [[4, 0], [0, 0]]])
    assert image_miou(margins(matrices)) == pytest.approx([(6 / 9 + 3 / 6) / 2, 1.0])
    counts = np.zeros((2, len(RADII), 2, 2), dtype=np.int32)
    counts[:, 0] = hits_and_unions(margins(matrices))
    found = trimap_miou(counts)
    assert found[1] == pytest.approx(scores(matrices).miou) and found[3] is None


def test_counts_held_by_their_cells_are_the_dense_ones():
    random = np.random.default_rng(0)
    images = random.integers(0, 50, (3, 4, 4)) * (random.random((3, 4, 4)) < 0.3)
    held = Stack(["a", "b"], (4, 4), np.int64)
    for image in images:
        held.append({"a": image, "b": image.T})
    assert (held["a"] == images).all() and (held.total("b") == images.sum(0).T).all()
