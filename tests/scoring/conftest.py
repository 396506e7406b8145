"""Made images for the tests of scoring."""

import numpy as np
import torch

CLASSES = 4


def made_sample(seed):
    """Logits (C, 6, 9), image (6, 9, 3) and truth (6, 9) of a made image."""
    rng = np.random.default_rng(seed)
    logits = torch.from_numpy(rng.normal(size=(CLASSES, 6, 9)).astype(np.float32))
    target = torch.from_numpy(rng.choice([0, 1, 2, 3, 255], (6, 9)))
    return logits, rng.integers(0, 256, (6, 9, 3), dtype=np.uint8), target
