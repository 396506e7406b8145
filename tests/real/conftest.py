"""The real sample in memory."""

import pytest
import torch

from src.data.folder import VOCFolder
from src.evaluation.logits import read_resized


@pytest.fixture
def scenes(sample):
    """Per id of a val image what reads its probabilities (21, H, W) and its pixels (H, W, 3)."""
    folder = sample / "voc2012_sample"
    voc = VOCFolder(folder / "VOCdevkit" / "VOC2012")

    def read(name):
        rgb, mask = voc.read_pair(name)
        return read_resized(folder / "logits_espnetv2", name, torch.from_numpy(mask)).softmax(0).numpy(), rgb

    return {name: (lambda name=name: read(name)) for name in voc.ids("val")}
