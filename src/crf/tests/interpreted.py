"""Run by `test_kernels.py`, with Triton's interpreter: prints the largest difference between both ways in torch."""

import json
from unittest import mock

import torch

from ..gpu import lattice, meanfield
from .conftest import model, scene


def main() -> None:
    lattice.LONGEST = 32  # so that small lattices have heavy vertices
    scenes = [scene(17, 23, 5), scene(9, 14, 5, seed=1)]
    scenes[1][0][2] *= 1e-3  # a label of one image that the floor drops
    scenes[1][0][:] /= scenes[1][0].sum(0)
    models = [model(iterations=2), model("normalized", label_floor=0.01, iterations=1)]
    probs, rgb = [torch.from_numpy(one) for one, _ in scenes], [image for _, image in scenes]
    expected = meanfield.infer(probs, rgb, models)
    runs = []
    for _ in range(2):
        meanfield.forget()
        with mock.patch.object(meanfield, "has_kernels", lambda device: True):
            runs.append(meanfield.infer(probs, rgb, models))
    found = [
        [float((one - other).abs().max()) for one, other in zip(*pair, strict=True)]
        for pair in zip(runs[0], expected, strict=True)
    ]
    equal = all(torch.equal(a, b) for one, two in zip(*runs, strict=True) for a, b in zip(one, two, strict=True))
    print(json.dumps({"differences": found, "equal": equal}))


main()
