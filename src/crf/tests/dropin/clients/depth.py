"""Segment indoor images with depth: six features per pixel, channels first, one more kernel for the depth alone."""

import numpy as np
import pydensecrf.densecrf as dcrf
from pydensecrf.utils import create_pairwise_bilateral, unary_from_softmax

from data import blocks, softmax


def main():
    image, number = blocks(61, 83, seed=5)
    rng = np.random.default_rng(5)
    depth = 1 + number / 7 + rng.normal(size=number.shape) * 0.05
    logits = rng.normal(size=(7, *number.shape)) + 2 * (np.arange(7)[:, None, None] == number % 7)
    rgbd = np.concatenate([image.transpose(2, 0, 1).astype(np.float64), depth[None] * 100])

    crf = dcrf.DenseCRF2D(83, 61, 7)
    crf.setUnaryEnergy(unary_from_softmax(softmax(logits, 0)))
    crf.addPairwiseGaussian(sxy=(2, 3), compat=2, kernel=dcrf.CONST_KERNEL, normalization=dcrf.NORMALIZE_SYMMETRIC)
    crf.addPairwiseEnergy(create_pairwise_bilateral((30, 30), (20, 20, 20, 15), rgbd, chdim=0), compat=5)
    crf.addPairwiseEnergy(
        create_pairwise_bilateral((50, 50), 10, depth * 100), 2, dcrf.DIAG_KERNEL, dcrf.NORMALIZE_BEFORE
    )
    q = np.array(crf.inference(6))
    return {"probs": q, "labels": np.argmax(q, axis=0).reshape(61, 83)}
