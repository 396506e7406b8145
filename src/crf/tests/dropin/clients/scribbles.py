"""Spread scribbled labels over an image, as weakly supervised projects do: labels as unaries, 0 for "no idea"."""

import numpy as np
import pydensecrf.densecrf as dcrf
from pydensecrf.utils import unary_from_labels

from data import blocks


def densecrf(img, anno_lbl, use_2d=True):
    colors, labels = np.unique(anno_lbl, return_inverse=True)
    labels = labels.reshape(-1)
    HAS_UNK = 0 in colors
    n_labels = len(set(labels.flat)) - int(HAS_UNK)

    d = dcrf.DenseCRF2D(img.shape[1], img.shape[0], n_labels)
    U = unary_from_labels(labels, n_labels, gt_prob=0.7, zero_unsure=HAS_UNK)
    d.setUnaryEnergy(U)
    d.addPairwiseGaussian(sxy=(3, 3), compat=3, kernel=dcrf.DIAG_KERNEL, normalization=dcrf.NORMALIZE_SYMMETRIC)
    d.addPairwiseBilateral(
        sxy=(80, 80), srgb=(13, 13, 13), rgbim=img, compat=10,
        kernel=dcrf.DIAG_KERNEL, normalization=dcrf.NORMALIZE_SYMMETRIC,
    )  # fmt: skip
    Q = d.inference(5)
    MAP = np.argmax(Q, axis=0)
    return colors[MAP + int(HAS_UNK)].reshape(img.shape[:2]), np.array(Q)


def main():
    image, number = blocks(70, 90, seed=3)
    scribbles = (number % 4 + 1) * (np.random.default_rng(3).random(number.shape) < 0.05)
    labels, probs = densecrf(image, scribbles)
    return {"probs": probs, "labels": labels}
