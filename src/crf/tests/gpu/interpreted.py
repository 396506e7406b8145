"""Run by `test_kernels.py` with Triton's interpreter: prints differences between our kernels and tensor operations."""

import json
from unittest import mock

import torch

from ...gpu import lattice, meanfield
from ...gpu.batch import Batch
from ..conftest import model, scene


def main() -> None:
    lattice.LONGEST = 8  # so that small lattices have heavy vertices
    scenes = [scene(11, 13, 5), scene(6, 9, 5, seed=1)]
    scenes[1][0][2] *= 1e-3  # a label that the floor drops in one image
    scenes[1][0][:] /= scenes[1][0].sum(0)
    models = [model(iterations=1), model("normalized", label_floor=0.01, iterations=1)]
    probs, rgb = [torch.from_numpy(one) for one, _ in scenes], [image for _, image in scenes]
    expected = meanfield.infer(probs, rgb, models)
    meanfield.forget()
    with mock.patch.object(meanfield, "has_kernels", lambda device: True):
        found = meanfield.infer(probs, rgb, models)
        (heavy, *_) = meanfield._spatial(Batch(((11, 13), (6, 9)), probs[0].device), 3).heavy
        again = meanfield.infer(probs[:1], rgb[:1], models[:1])
    differences = [
        float((q - wanted).abs().max())
        for answers, others in zip(found, expected, strict=True)
        for q, wanted in zip(answers, others, strict=True)
    ]
    dropped = [bool((answers[1][2] == 0).all()) for answers in found]
    equal = torch.equal(again[0][0], found[0][0])
    print(json.dumps({"differences": differences, "dropped": dropped, "heavy": len(heavy), "alone": equal}))


main()
