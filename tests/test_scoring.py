import numpy as np
import pytest
import torch

from src.counting import confusion_matrix
from src.scoring import scores


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
