"""Step through the inference by hand until the divergence settles, and keep what each step gave."""

import numpy as np
import pydensecrf.densecrf as dcrf
from pydensecrf.utils import softmax_to_unary

from data import blocks, softmax


def main():
    image, number = blocks(50, 68, seed=7)
    rng = np.random.default_rng(7)
    logits = rng.normal(size=(4, *number.shape)) + (np.arange(4)[:, None, None] == number % 4)
    crf = dcrf.DenseCRF2D(68, 50, 4)
    crf.setUnaryEnergy(softmax_to_unary(softmax(logits, 0)).copy(order="C"))
    crf.addPairwiseGaussian(sxy=3, compat=3)
    crf.addPairwiseBilateral(sxy=40, srgb=13, rgbim=image, compat=4)

    Q, tmp1, tmp2 = crf.startInference()
    divergences, steps = [crf.klDivergence(Q)], [np.array(Q)]
    for _ in range(20):
        crf.stepInference(Q, tmp1, tmp2)
        divergences.append(crf.klDivergence(Q))
        steps.append(np.array(Q))
        if abs(divergences[-1] - divergences[-2]) < 1e-2 * abs(divergences[-2]):
            break
    return {
        "probs": np.stack(steps),
        "labels": np.argmax(Q, axis=0),
        "divergences": np.array(divergences) / steps[0].size,
        "steps": np.array(len(steps)),
    }
