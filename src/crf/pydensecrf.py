"""The reference engine: Kraehenbuehl's own code through the pydensecrf bindings. CPU, one thread, holds the GIL."""

from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np

from src.crf.model import CRFParameters, FloatArray, Image, check_input, guide
from src.errors import InputError

SMALLEST = 1e-8  # probabilities are clipped here: -log 0 would be infinite


@dataclass(frozen=True)
class PyDenseCRF:
    """Mean field by pydensecrf with symmetric normalisation; see `src.crf.model.DenseCRF` for the call."""

    parameters: CRFParameters
    guidance: str

    def __post_init__(self) -> None:
        if find_spec("pydensecrf") is None:
            raise InputError(
                "crf.engine=pydensecrf: the module is not installed; install it with `pip install pydensecrf2` "
                "(needs a C++ compiler)."
            )

    def __call__(self, probs: FloatArray, rgb: Image) -> FloatArray:
        """Run mean field: probs (C, H, W) float32, rgb (H, W, 3) uint8 -> (C, H, W) float32."""
        from pydensecrf.densecrf import DenseCRF2D

        check_input(probs, rgb)
        p = self.parameters
        labels, height, width = probs.shape
        unary = -np.log(np.clip(probs, SMALLEST, 1.0)).reshape(labels, -1)
        y, x = np.mgrid[:height, :width].astype(np.float32)
        colour = np.moveaxis(guide(rgb, self.guidance, p.bilateral_sigma_rgb), 2, 0)
        crf = DenseCRF2D(width, height, labels)  # width first
        crf.setUnaryEnergy(np.ascontiguousarray(unary, dtype=np.float32))
        crf.addPairwiseEnergy(_flat(x / p.spatial_sigma, y / p.spatial_sigma), compat=p.spatial_weight)
        crf.addPairwiseEnergy(
            _flat(x / p.bilateral_sigma_xy, y / p.bilateral_sigma_xy, *colour), compat=p.bilateral_weight
        )
        return np.array(crf.inference(p.iterations), dtype=np.float32).reshape(labels, height, width)


def _flat(*features: FloatArray) -> FloatArray:
    """Feature planes (H, W) to the (D, H * W) that pydensecrf wants, C-contiguous."""
    return np.ascontiguousarray(np.stack(features).reshape(len(features), -1), dtype=np.float32)
