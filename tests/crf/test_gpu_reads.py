"""How often the torch back end makes the host wait for the device."""

import pytest
import torch

from src.crf.gpu import meanfield as gpu
from tests import fake_cuda
from tests.crf.conftest import model, scene

MIXED = [scene(24, 37, 6), scene(40, 20, 6, seed=1)]


@pytest.mark.parametrize("real", fake_cuda.KINDS)
@pytest.mark.parametrize("iterations", [1, 5])
def test_reads_come_before_the_iterations(iterations, real):
    """One for the range of the probabilities; per filter its size and its vertices; per model its labels.

    Our kernels need two more per filter: its heavy vertices, and how many segments these have.
    """
    models = [model(iterations=iterations), model("normalized_uint8", iterations=iterations)]
    with fake_cuda.cuda(real=real) as reads:
        probs = [torch.from_numpy(probs).to(fake_cuda.DEVICE) for probs, _ in MIXED]
        gpu.infer(probs, [rgb for _, rgb in MIXED], models)
    per_filter = 4 if gpu.has_kernels(fake_cuda.DEVICE) else 2
    assert len(reads.seen) == 1 + per_filter * 3 + 2
