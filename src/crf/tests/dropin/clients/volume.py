"""Refine a 3-D medical segmentation: positions and grey values of voxels as features, through `DenseCRF`."""

import numpy as np
import pydensecrf.densecrf as dcrf
from pydensecrf.utils import create_pairwise_bilateral, create_pairwise_gaussian, unary_from_softmax


def main():
    rng = np.random.default_rng(4)
    shape = (12, 20, 21)
    truth = np.zeros(shape, int)
    truth[3:9, 5:14, 6:16] = 1
    truth[5:7, 8:11, 9:12] = 2
    scan = (truth * 60 + 40 + rng.normal(size=shape) * 12).astype(np.float32)
    probs = np.stack([(truth == label) * 0.4 + rng.random(shape) * 0.6 for label in range(3)])
    probs /= probs.sum(0)

    crf = dcrf.DenseCRF(int(np.prod(shape)), 3)
    crf.setUnaryEnergy(np.ascontiguousarray(unary_from_softmax(probs, scale=0.9)))
    crf.addPairwiseEnergy(
        create_pairwise_gaussian(sdims=(1.5, 2.0, 2.0), shape=shape), compat=3,
        kernel=dcrf.FULL_KERNEL, normalization=dcrf.NORMALIZE_AFTER,
    )  # fmt: skip
    bilateral = create_pairwise_bilateral(sdims=(6, 8, 8), schan=(15,), img=scan, chdim=-1)
    crf.addPairwiseEnergy(bilateral, compat=6)
    q = np.asarray(crf.inference(4)).reshape((3, *shape))
    return {"probs": q, "labels": q.argmax(0)}
