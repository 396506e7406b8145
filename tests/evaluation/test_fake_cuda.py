"""Scoring on a CUDA device, with a card or without: the host reads counts and labels of an image, and nothing else."""

from functools import partial

import pytest
import torch

from src.crf.engines import TorchEngine, _AtOnce
from src.evaluation.task import ScoringTask
from src.models.backbones import MEAN, STD
from src.models.inference import Inference
from src.scoring.fusion import RULES, bound
from src.scoring.scorer import VariantScorer
from src.scoring.variants import Variant
from tests import fake_cuda
from tests.crf.conftest import model

LOOKS = Inference(scales=(0.5,), flip=True, window=32)


def score(reads, images, variants, engine):
    """Score images through the task; gives what it read from the device."""
    with torch.device(fake_cuda.DEVICE):
        net, names = torch.nn.Conv2d(3, 21, 1, stride=4), ["x"] * 21
        task = ScoringTask(net, classes=names, mean=MEAN, std=STD, channels_last=True).eval()
    before = len(reads.seen)
    with VariantScorer(variants, 21, engine) as task.scorer:
        for number in range(images):
            size = (1, 40 + number, 56)
            host = {"rgb": torch.zeros(*size, 3, dtype=torch.uint8), "mask": torch.zeros(size, dtype=torch.uint8)}
            batch = {name: value.to(fake_cuda.DEVICE) for name, value in host.items()} | {"id": [str(number)]}
            task.test_step({**task.on_after_batch_transfer(batch, 0), "host": host}, number)
        task.scorer.finish()
    assert len(task.scorer.ids) == images
    return reads.seen[before:]


@pytest.mark.parametrize("real", fake_cuda.KINDS)
def test_an_image_is_read_twice_whatever_its_variants(real):
    variants = {"none": Variant(), "looks": Variant(inference=LOOKS)}
    with fake_cuda.cuda(real=real) as reads:
        assert score(reads, 3, variants, None) == ["aten._to_copy"] * 6


@pytest.mark.parametrize("real", fake_cuda.KINDS)
def test_crfs_and_fusion_read_nothing_more_for_an_image(real, monkeypatch):
    """What they read is for a batch of up to 16 images: the range of the probabilities, two for each of two filters,
    and the labels of the model."""
    variants = {"none": Variant(), "fill": Variant(model(), bound("fill", {}, 0, "fill"))}
    variants["boundary"] = Variant(model(), partial(RULES["boundary"], radius=2))
    monkeypatch.setattr(TorchEngine, "_run", TorchEngine._run.__wrapped__)  # fake tensors know no inference mode
    for images in (1, 2):
        with fake_cuda.cuda(real=real) as reads:
            engine = TorchEngine(fake_cuda.DEVICE)
            engine._executor = _AtOnce()  # a mode counts in its own thread
            assert len(score(reads, images, variants, engine)) == 1 + 2 * 2 + 1 + 2 * images
