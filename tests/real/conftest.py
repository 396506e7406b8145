"""The real sample in memory."""

import numpy as np
import pytest
import torch
from PIL import Image

from src.models.deeplab import resize_logits


@pytest.fixture
def scenes(sample):
    """Probabilities (21, H, W) and image (H, W, 3) of the id of a val image."""
    folder = sample / "voc2012_sample"
    voc = folder / "VOCdevkit" / "VOC2012"

    def read(name):
        rgb = np.array(Image.open(voc / "JPEGImages" / f"{name}.jpg").convert("RGB"))
        logits = torch.from_numpy(np.load(folder / "logits_espnetv2" / f"{name}.npz")["logits"].astype(np.float32))
        return resize_logits(logits[None], rgb.shape[:2])[0].softmax(0).numpy(), rgb

    ids = (voc / "ImageSets" / "Segmentation" / "val.txt").read_text().split()
    return {name: (lambda name=name: read(name)) for name in ids}
