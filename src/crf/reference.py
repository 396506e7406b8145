"""The reference back end: Kraehenbuehl's own code through the pydensecrf bindings. CPU, one thread, holds the GIL."""

from collections.abc import Sequence
from importlib.util import find_spec

import numpy as np

from .errors import CRFError
from .model import SMALLEST, DenseCRF, FloatArray, Image, bilateral_features, check_input, positions


def require() -> None:
    """Raise CRFError if the module is not installed."""
    if _missing():
        raise CRFError(
            "crf.engine=pydensecrf: the module is not installed. `pip install pydensecrf2` installs it (needs a C++ "
            "compiler, and a Python before 3.13); or use crf.engine=auto, which gives the same labels."
        )


def _missing() -> bool:
    try:
        return find_spec("pydensecrf") is None
    except ValueError:  # blocked by a None in sys.modules
        return True


def infer(probs: FloatArray, rgb: Image, models: Sequence[DenseCRF]) -> list[FloatArray]:
    """Mean field of each model on one image, with symmetric normalisation.

    Args:
        probs: (C, H, W) float32 in [0, 1], sum 1 over C. Not modified.
        rgb: (H, W, 3) uint8, the untouched image. Not modified.
        models: what to run; the label floor is ignored: all labels take part.

    Returns:
        Per model (C, H, W) float32, sum 1 over C.

    Raises:
        ValueError: the arrays do not fit each other, or `probs` are not probabilities.
    """
    check_input(probs, rgb)
    return [_run(probs, rgb, model) for model in models]


def _run(probs: FloatArray, rgb: Image, model: DenseCRF) -> FloatArray:
    from pydensecrf.densecrf import DenseCRF2D

    p = model.parameters
    labels, height, width = probs.shape
    unary = -np.log(np.clip(probs, SMALLEST, 1.0)).reshape(labels, -1)
    features = bilateral_features(rgb, model.guidance, p.bilateral_sigma_xy, p.bilateral_sigma_rgb)
    crf = DenseCRF2D(width, height, labels)  # width first
    crf.setUnaryEnergy(np.ascontiguousarray(unary, dtype=np.float32))
    crf.addPairwiseEnergy(np.ascontiguousarray(positions(height, width, p.spatial_sigma)), compat=p.spatial_weight)
    crf.addPairwiseEnergy(np.ascontiguousarray(features, dtype=np.float32), compat=p.bilateral_weight)
    return np.array(crf.inference(p.iterations), dtype=np.float32).reshape(labels, height, width)
