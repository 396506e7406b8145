"""The pairwise terms that a model is made of: over positions, over positions and colours, over any features."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import CRFError
from ..model import FloatArray
from .meanfield import NORMALIZATIONS, grid

Weight = float | npt.ArrayLike
"""How strongly each label attracts itself: a number, or one per label (C,)."""


@dataclass(frozen=True, eq=False, kw_only=True)
class _Pairwise:
    """What all terms have.

    Attributes:
        weight: how strongly a label attracts itself; a number, or one per label (C,).
        compatibility: (C, C), what it costs label l that label m is near: `weight` times `compatibility[l, m]` is
            subtracted instead. 1 - the identity is the same as none (Potts).
        normalization: of the kernel K with n = K 1: "symmetric" n^-1/2 K n^-1/2, "before" K / n, "after" 1 / n K, or
            "none".
    """

    weight: Weight = 1.0
    compatibility: npt.ArrayLike | None = None
    normalization: str = "symmetric"

    def __post_init__(self) -> None:
        if self.normalization not in NORMALIZATIONS:
            raise CRFError(f"normalization={self.normalization}: there are {', '.join(NORMALIZATIONS)}.")

    def gains(self, labels: int) -> FloatArray:
        """What each label receives of each, for so many labels: a number, (C,) or (C, C) float32."""
        weight = np.asarray(self.weight, dtype=np.float32)
        costs = None if self.compatibility is None else np.asarray(self.compatibility, dtype=np.float32)
        if weight.shape != () and (weight.shape != (labels,) or costs is not None):
            raise CRFError(
                f"weight must be a number, or with {labels} labels {(labels,)} and no matrix; got {weight.shape}."
            )
        if costs is not None and costs.shape != (labels, labels):
            raise CRFError(f"compatibility must be {(labels, labels)} for {labels} labels; got {costs.shape}.")
        found = weight if costs is None else -weight * costs
        if not np.isfinite(found).all():
            raise CRFError("weight and compatibility must be finite.")
        return np.asarray(found)


@dataclass(frozen=True, eq=False)
class Gaussian(_Pairwise):
    """Near points prefer the same label.

    Attributes:
        sigma: standard deviation in px; a number, or one per axis in the order of the array's axes (y, x).
    """

    sigma: float | tuple[float, ...]

    def key(self) -> Hashable:
        """Terms with equal keys share a lattice."""
        return ("Gaussian", _hashable(self.sigma))

    def features(self, shape: tuple[int, ...], image: npt.NDArray[Any] | None) -> FloatArray:
        """(d, N) float32, in units of the standard deviations."""
        return _positions(shape, self.sigma)


@dataclass(frozen=True, eq=False)
class Bilateral(_Pairwise):
    """Near points of similar colours prefer the same label.

    Attributes:
        sigma: standard deviation in px; a number, or one per axis in the order of the array's axes (y, x).
        sigma_color: standard deviation of the colours in units of the image; a number, or one per channel.
    """

    sigma: float | tuple[float, ...]
    sigma_color: float | tuple[float, ...]

    def key(self) -> Hashable:
        """Terms with equal keys share a lattice."""
        return ("Bilateral", _hashable(self.sigma), _hashable(self.sigma_color))

    def features(self, shape: tuple[int, ...], image: npt.NDArray[Any] | None) -> FloatArray:
        """(d, N) float32, in units of the standard deviations."""
        if image is None:
            raise CRFError("a Bilateral term needs the image: crf(probs, image).")
        if image.shape[:-1] != shape:
            raise CRFError(f"the image must be {(*shape, 'channels')} to fit the probabilities; got {image.shape}.")
        sigmas = np.array(_sigmas(self.sigma_color, image.shape[-1], "sigma_color"), np.float32)
        colours = (image.reshape(-1, image.shape[-1]).astype(np.float32) / sigmas).T
        return np.concatenate([_positions(shape, self.sigma), colours])


@dataclass(frozen=True, eq=False)
class Features(_Pairwise):
    """Points with similar features prefer the same label.

    Attributes:
        values: (N, d) or (..., d), one row per point, of any d >= 1; a NumPy array or a tensor.
        sigma: standard deviation of the features; a number, or one per feature (d,).
    """

    values: Any
    sigma: float | tuple[float, ...] = 1.0

    def key(self) -> Hashable:
        """Terms with equal keys share a lattice."""
        return ("Features", id(self.values), _hashable(self.sigma))

    def features(self, shape: tuple[int, ...], image: npt.NDArray[Any] | None) -> FloatArray:
        """(d, N) float32, in units of the standard deviations."""
        values = as_numpy(self.values)
        count = int(np.prod(shape))
        if values.ndim < 2 or values.shape[-1] == 0 or values.size != count * values.shape[-1]:
            raise CRFError(f"features must be (N, d) with N = {count} points and d >= 1; got {values.shape}.")
        sigmas = np.array(_sigmas(self.sigma, values.shape[-1], "sigma"), np.float32)
        return np.ascontiguousarray((values.reshape(count, -1).astype(np.float32) / sigmas).T)


Pairwise = Gaussian | Bilateral | Features


def as_numpy(array: Any) -> npt.NDArray[Any]:
    """A tensor's values on the CPU, or an array as it is."""
    return np.asarray(array.detach().cpu()) if hasattr(array, "detach") else np.asarray(array)


def _positions(shape: tuple[int, ...], sigma: float | tuple[float, ...]) -> FloatArray:
    return grid(shape, _sigmas(sigma, len(shape), "sigma")[::-1])


def _hashable(sigma: Any) -> Hashable:
    """One number, or several in whatever holds them: a tuple, a list, an array."""
    return tuple(np.ravel(as_numpy(sigma)).tolist())


def _sigmas(sigma: float | tuple[float, ...], count: int, name: str) -> tuple[float, ...]:
    given = np.asarray(sigma, np.float64)
    if given.shape not in ((), (count,)) or not (given > 0).all():
        raise CRFError(f"{name}={sigma}: must be a number above 0, or {count} of them.")
    return tuple(np.broadcast_to(given, count).tolist())
