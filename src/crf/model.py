"""The dense CRF as a model: its parameters, and the image that guides it. NumPy only.

Kraehenbuehl and Koltun (2011), arXiv:1210.5644: mean field of a fully connected CRF with Potts compatibility and two
Gaussian kernels, one over positions, one over positions and colours.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import CRFError

MEAN = np.array([0.485, 0.456, 0.406], dtype=np.float32)  # ImageNet, RGB in 0..1
STD = np.array([0.229, 0.224, 0.225], dtype=np.float32)

SMALLEST = 1e-8  # probabilities are clipped here: -log 0 would be infinite

FloatArray = npt.NDArray[np.float32]
Image = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class CRFParameters:
    """Parameters of the model: position sigmas in px, colour sigmas in 0..255 units, weights without a unit.

    A label is skipped if its largest probability in the image is below `label_floor`; 0 is exact.
    """

    iterations: int
    spatial_sigma: float
    spatial_weight: float
    bilateral_sigma_xy: float
    bilateral_sigma_rgb: float
    bilateral_weight: float
    label_floor: float

    def __post_init__(self) -> None:
        check_parameters(vars(self), "crf")


LIMITS: dict[str, tuple[float, float]] = {  # beyond them, a mistyped number would run for ever or do nothing
    "iterations": (0, 1000),
    "spatial_sigma": (0.01, 1e5),
    "spatial_weight": (0, 1000),
    "bilateral_sigma_xy": (0.01, 1e5),
    "bilateral_sigma_rgb": (0.01, 1e5),
    "bilateral_weight": (0, 1000),
    "label_floor": (0, 0.999),
}


def check_parameters(values: Mapping[str, Any], where: str) -> None:
    """Raise CRFError unless each value may be the parameter of its name; `where` begins the names in messages."""
    for name, value in values.items():
        low, high = LIMITS[name]
        is_number = isinstance(value, int if name == "iterations" else int | float) and not isinstance(value, bool)
        if not is_number or not low <= value <= high:
            wanted = "a whole number" if name == "iterations" else "a number"
            raise CRFError(f"{where}.{name}={value}: must be {wanted} from {low:g} to {high:g}.")


@dataclass(frozen=True)
class DenseCRF:
    """A model to run: parameters, and the name of the guidance image, one of `GUIDANCES`."""

    parameters: CRFParameters
    guidance: str


def _normalize(rgb: Image) -> FloatArray:
    """ImageNet normalisation with black at 0: the kernel sees only differences, but its lattice has an origin."""
    return np.asarray(rgb / (255 * STD), dtype=np.float32)


def _wrap(rgb: Image) -> FloatArray:
    """Normalised image times 255 in eight bits: values outside wrap modulo 256, as in the code of the 2024 report."""
    scaled = np.trunc((rgb / np.float32(255) - MEAN) / STD * 255)
    return np.asarray(scaled.astype(np.int64) % 256, dtype=np.float32)


# name: (image that the kernel sees, factor from a sigma in 0..255 units to the sigma used, factor back to 0..255 units)
_GUIDANCE: dict[str, tuple[Callable[[Image], FloatArray], npt.NDArray[Any], npt.NDArray[Any]]] = {
    "raw": (lambda rgb: rgb.astype(np.float32), np.ones(3), np.ones(3)),
    "normalized": (_normalize, 1 / (255 * STD), 255 * STD),
    "normalized_unscaled": (_normalize, np.ones(3), 255 * STD),
    "normalized_uint8": (_wrap, np.ones(3), STD),
}
GUIDANCES = tuple(_GUIDANCE)


def guide(rgb: Image, guidance: str, sigma_rgb: float) -> FloatArray:
    """Colours in units of their standard deviation; the bilateral kernel takes differences of them.

    Args:
        rgb: (H, W, 3) uint8.
        guidance: one of `GUIDANCES`. `normalized` rescales sigma per channel and so equals `raw`;
            `normalized_unscaled` does not rescale and has almost no edge term; `normalized_uint8` wraps.
        sigma_rgb: in 0..255 units.

    Returns:
        (H, W, 3) float32.
    """
    image, factor, _ = _GUIDANCE[guidance]
    return np.asarray(image(rgb) / (sigma_rgb * factor).astype(np.float32), dtype=np.float32)


def positions(height: int, width: int, sigma: float) -> FloatArray:
    """(2, H W) float32: x and y of each pixel in units of `sigma` px."""
    found = np.empty((2, height, width), np.float32)
    found[0] = np.arange(width, dtype=np.float32) / np.float32(sigma)
    found[1] = (np.arange(height, dtype=np.float32) / np.float32(sigma))[:, None]
    return found.reshape(2, -1)


def effective_sigma(guidance: str, sigma_rgb: float) -> list[float]:
    """Colour sigma per channel with which raw guidance gives the same kernel (wrapping ignored), in 0..255 units."""
    _, factor, back = _GUIDANCE[guidance]
    return [round(float(s), 4) for s in sigma_rgb * factor * back]


def colour_table(guidance: str, sigma_rgb: float) -> FloatArray:
    """(3, 256) float32: per channel what `guide` makes of each byte."""
    every = np.arange(256, dtype=np.uint8)[:, None, None].repeat(3, axis=2)
    return np.ascontiguousarray(guide(every, guidance, sigma_rgb)[:, 0].T)


def bilateral_features(rgb: Image, guidance: str, sigma_xy: float, sigma_rgb: float) -> FloatArray:
    """(5, H W) float32: x, y and the colours in units of their standard deviations, looked up by byte."""
    colours = np.empty((3, rgb[..., 0].size), np.float32)
    for channel, values in enumerate(colour_table(guidance, sigma_rgb)):
        values.take(rgb[..., channel].ravel(), out=colours[channel], mode="clip")
    return np.concatenate([positions(rgb.shape[0], rgb.shape[1], sigma_xy), colours])


def readonly(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The same array, made read-only."""
    view = array[:]
    view.flags.writeable = False
    return view


def check_shapes(shape: tuple[int, ...], rgb: Image) -> None:
    """Raise ValueError unless `shape` is (C, H, W) and `rgb` is uint8 (H, W, 3) of the same size."""
    if len(shape) != 3 or 0 in shape:
        raise ValueError(f"probs must be (C, H, W) and not empty; got shape {shape}.")
    if rgb.dtype != np.uint8 or rgb.shape != (*shape[1:], 3):
        raise ValueError(f"rgb must be uint8 {(*shape[1:], 3)} to fit probs; got {rgb.dtype} {rgb.shape}.")


def check_range(low: float, high: float) -> None:
    """Raise CRFError unless `low` and `high` can be the smallest and the largest of probabilities."""
    if not (low >= 0 and high <= 1 + 1e-4):  # false for NaN, too
        hint = "" if low != low else "; take the softmax of logits first"
        raise CRFError(f"probs must be finite and in [0, 1]; got {low} to {high}{hint}.")


def check_input(probs: FloatArray, rgb: Image) -> None:
    """Raise ValueError unless `probs` are probabilities (C, H, W) and `rgb` is uint8 (H, W, 3) of the same size."""
    check_shapes(probs.shape, rgb)
    check_range(float(probs.min()), float(probs.max()))
