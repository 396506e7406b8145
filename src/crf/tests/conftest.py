"""Images, models and the reference for the tests of all back ends."""

import sys
from pathlib import Path

import numpy as np
import pytest

from ..model import CRFParameters, DenseCRF

LIBRARY = __name__.removesuffix(".tests.conftest")  # the name under which it is imported here
ROOT = Path(__file__).parents[1 + len(LIBRARY.split("."))]  # the folder from which that name is found

# `python -m pytest` in the library's own folder would find its `pydensecrf` before the installed one.
sys.path[:] = [path for path in sys.path if Path(path).resolve() != Path(__file__).resolve().parents[1]]


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes long")  # for tests of an installed package, which has no settings


def model(guidance="raw", **changes):
    """A CRF, exact unless told otherwise, strong enough to move labels on the small images below."""
    parameters = {
        "iterations": 5, "spatial_sigma": 3, "spatial_weight": 3, "bilateral_sigma_xy": 40, "bilateral_sigma_rgb": 13,
        "bilateral_weight": 10, "label_floor": 0.0,
    }  # fmt: skip
    return DenseCRF(CRFParameters(**(parameters | changes)), guidance)


def scene(height, width, labels, seed=0):
    """Probabilities (C, H, W), and an image (H, W, 3) of coloured blocks of 4 px with noise."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 230, (height // 4 + 1, width // 4 + 1, 3)).repeat(4, 0).repeat(4, 1)[:height, :width]
    rgb = (blocks + rng.integers(0, 25, blocks.shape)).astype(np.uint8)
    logits = rng.normal(size=(labels, height, width)) * 2
    probs = np.exp(logits) / np.exp(logits).sum(0)
    return probs.astype(np.float32), rgb


@pytest.fixture
def reference():
    """pydensecrf, fed with the image itself by the bindings' own functions."""
    densecrf = pytest.importorskip("pydensecrf.densecrf", reason="pydensecrf2 is not installed")

    def infer(probs, rgb, p):
        labels, height, width = probs.shape
        crf = densecrf.DenseCRF2D(width, height, labels)
        crf.setUnaryEnergy(np.ascontiguousarray(-np.log(np.clip(probs, 1e-8, 1)).reshape(labels, -1)))
        crf.addPairwiseGaussian(sxy=p.spatial_sigma, compat=p.spatial_weight)
        colour = {"sxy": p.bilateral_sigma_xy, "srgb": p.bilateral_sigma_rgb, "compat": p.bilateral_weight}
        crf.addPairwiseBilateral(rgbim=np.ascontiguousarray(rgb), **colour)
        return np.array(crf.inference(p.iterations)).reshape(labels, height, width)

    return infer
