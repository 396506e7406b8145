"""Images and probabilities for the clients."""

import numpy as np


def blocks(height, width, seed=0):
    """An image (H, W, 3) uint8 of coloured blocks with noise, and the number of each pixel's block (H, W)."""
    rng = np.random.default_rng(seed)
    number = rng.integers(0, 21, (height // 12 + 1, width // 12 + 1)).repeat(12, 0).repeat(12, 1)[:height, :width]
    colours = rng.integers(20, 230, (21, 3))
    return (colours[number] + rng.integers(-20, 21, (height, width, 3))).astype(np.uint8), number


def softmax(logits, axis):
    powers = np.exp(logits - logits.max(axis, keepdims=True))
    return powers / powers.sum(axis, keepdims=True)
