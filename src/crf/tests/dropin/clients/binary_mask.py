"""Refine a foreground probability, as saliency and medical projects do: two labels, everything positional."""

import numpy as np
import pydensecrf.densecrf as dcrf

from data import blocks


def crf_refine(img, annos):
    def _sigmoid(x):
        return 1 / (1 + np.exp(-x))

    EPSILON = 1e-8
    M = 2  # salient or not
    tau = 1.05
    d = dcrf.DenseCRF2D(img.shape[1], img.shape[0], M)

    anno_norm = annos / 255.0
    n_energy = -np.log(1.0 - anno_norm + EPSILON) / (tau * _sigmoid(1 - anno_norm))
    p_energy = -np.log(anno_norm + EPSILON) / (tau * _sigmoid(anno_norm))

    U = np.zeros((M, img.shape[0] * img.shape[1]), dtype="float32")
    U[0, :] = n_energy.flatten()
    U[1, :] = p_energy.flatten()
    d.setUnaryEnergy(U)
    d.addPairwiseGaussian(3, 3)
    d.addPairwiseBilateral(60, 5, img, 5)

    infer = np.array(d.inference(1)).astype("float32")
    res = infer[1, :] * 255
    return res.reshape(img.shape[:2]).astype("uint8"), infer


def main():
    image, _ = blocks(92, 117)
    saliency = np.random.default_rng(1).integers(0, 256, image.shape[:2]).astype(np.uint8)
    mask, probs = crf_refine(image, saliency)
    return {"probs": probs, "labels": mask > 128}
