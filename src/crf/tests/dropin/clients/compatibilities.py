"""Weights per label and for pairs of labels, as energies, on land-cover classes."""

import numpy as np
import pydensecrf.densecrf as dcrf
from pydensecrf.utils import unary_from_labels

from data import blocks

CLASSES = ["water", "forest", "field", "road", "town"]


def main():
    image, number = blocks(64, 77, seed=6)
    rng = np.random.default_rng(6)
    noisy = np.where(rng.random(number.shape) < 0.3, rng.integers(0, 5, number.shape), number % 5)

    per_label = -np.array([4, 4, 3, 1, 2], dtype=np.float32)
    pairs = np.full((5, 5), 1.0, dtype=np.float32) - 4 * np.eye(5, dtype=np.float32)
    pairs[3, 4] = pairs[4, 3] = 0.2  # roads and towns go together

    crf = dcrf.DenseCRF2D(77, 64, len(CLASSES))
    crf.setUnaryEnergy(unary_from_labels(noisy.astype(np.int32), 5, 0.6, zero_unsure=False))
    crf.addPairwiseGaussian(sxy=2, compat=per_label)
    crf.addPairwiseBilateral(sxy=30, srgb=np.array([20.0, 20.0, 20.0]), rgbim=image, compat=pairs)
    q = np.array(crf.inference(5))
    return {"probs": q, "labels": q.argmax(0)}
