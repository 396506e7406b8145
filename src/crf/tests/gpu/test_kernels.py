"""The Triton kernels: without a card under Triton's interpreter, and on a card."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from ...cpu import meanfield
from ...gpu import meanfield as gpu
from ..conftest import LIBRARY, ROOT, model, scene

needs_triton = pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")
needs_card = pytest.mark.skipif(
    not torch.cuda.is_available() or find_spec("triton") is None, reason="no CUDA device, or no Triton"
)


@needs_triton
def test_the_interpreted_kernels_give_what_tensor_operations_give():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", f"{LIBRARY}.tests.gpu.interpreted"], cwd=ROOT,
        env=os.environ | {"TRITON_INTERPRET": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert np.max(found["differences"]) < 1e-5
    assert found["dropped"] == [False, True] and found["heavy"] > 0
    assert found["alone"], "an image of a batch has other bits than alone"


@needs_card
@pytest.mark.parametrize("labels", [1, 5, 21, 40])
def test_a_card_gives_what_the_cpu_gives_and_the_same_bits_again(labels):
    scenes = [
        scene(90, 120, labels),
        scene(61, 47, labels, seed=1),
        (scene(50, 50, labels)[0], np.zeros((50, 50, 3), np.uint8)),
    ]
    models = [model(), model(label_floor=0.2, iterations=10, spatial_sigma=1, bilateral_sigma_rgb=3)]
    probs, rgb = [torch.from_numpy(one).cuda() for one, _ in scenes], [image for _, image in scenes]
    assert gpu.has_kernels(probs[0].device)
    first = gpu.infer(probs, rgb, models)
    gpu.forget()
    second = gpu.infer(probs, rgb, models)
    for (one, image), answers, again in zip(scenes, first, second, strict=True):
        expected = meanfield.infer(one, image, models)
        for q, repeated, wanted in zip(answers, again, expected, strict=True):
            np.testing.assert_allclose(q.cpu().numpy(), wanted, atol=1e-4)
            assert torch.equal(q, repeated)


def test_without_a_card_tensor_operations_do_the_work():
    assert not gpu.has_kernels(torch.device("cpu"))
