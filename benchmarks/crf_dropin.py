"""The drop-in beside pydensecrf, through pydensecrf's own interface, from probabilities to the array of the result."""

import time
from collections.abc import Iterator

import numpy as np
import pydensecrf.densecrf as their_classes
import pydensecrf.utils as their_helpers

from benchmarks.crf_data import Scene
from src.crf.pydensecrf import densecrf as our_classes
from src.crf.pydensecrf import utils as our_helpers


def client(classes, helpers, probs: np.ndarray, rgb: np.ndarray) -> tuple[float, np.ndarray]:
    """Seconds, and the result of krahenbuhl2011."""
    start = time.perf_counter()
    labels, height, width = probs.shape
    crf = classes.DenseCRF2D(width, height, labels)
    crf.setUnaryEnergy(helpers.unary_from_softmax(probs))
    crf.addPairwiseGaussian(sxy=3, compat=3)
    crf.addPairwiseBilateral(sxy=80, srgb=13, rgbim=rgb, compat=10)
    found = np.array(crf.inference(5))
    return time.perf_counter() - start, found


def binary(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (2, side, side) of noisy blocks, and their image."""
    random = np.random.default_rng(0)
    blocks = random.integers(0, 2, (side // 50, side // 50)).repeat(50, 0).repeat(50, 1)
    rgb = (blocks[..., None] * 90 + 60 + random.integers(-30, 31, (*blocks.shape, 3))).astype(np.uint8)
    first = np.clip(blocks * 0.3 + 0.35 + random.normal(size=blocks.shape) * 0.2, 0.01, 0.99).astype(np.float32)
    return np.stack([first, 1 - first]), rgb


def rows(found: list[Scene], repeats: int) -> Iterator[tuple[str, list[float], list[float], str]]:
    """Per row what it is, our seconds, their seconds, and the least ratio wanted."""
    cases = {
        "drop-in, krahenbuhl2011": ([(scene.probs, scene.rgb) for scene in found], "5"),
        "drop-in, 2 labels, 1000 x 1000": ([binary(1000)] * repeats, "8"),
    }
    for name, (inputs, target) in cases.items():
        client(our_classes, our_helpers, *inputs[0])  # compiles
        ours, theirs = [], []
        for probs, rgb in inputs:
            took, expected = client(their_classes, their_helpers, probs, rgb)
            theirs.append(took)
            took, answer = client(our_classes, our_helpers, probs, rgb)
            ours.append(took)
            assert np.abs(answer - expected).max() <= 1e-4, name
        yield name, ours, theirs, target
