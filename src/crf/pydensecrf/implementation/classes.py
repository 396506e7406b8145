"""pydensecrf's classes, on our mean field: the same names, arguments, defaults and results.

Arrays of other numeric types and layouts than float32 in C order are converted, where pydensecrf asks for these. What
makes pydensecrf crash, or read beyond an array, raises ValueError.
"""

from enum import IntEnum
from typing import Any

import numpy as np

from ...errors import CRFError
from ...model import FloatArray
from ...terms import meanfield
from ...terms.meanfield import Term, grid, grid_lattice, infer, lattice, step
from . import matrices as eigen  # noqa: F401 - a name of pydensecrf
from .arguments import choice, gains, numbers, sigmas
from .matrices import MatrixXf, wrap


class NormalizationType(IntEnum):
    """How a kernel K is normalised with n = K 1: K, K / n, 1 / n K, n^-1/2 K n^-1/2."""

    NO_NORMALIZATION = 0
    NORMALIZE_BEFORE = 1
    NORMALIZE_AFTER = 2
    NORMALIZE_SYMMETRIC = 3


class KernelType(IntEnum):
    """Which parameters of a kernel could be learned; pydensecrf learns none, so all give the same."""

    CONST_KERNEL = 0
    DIAG_KERNEL = 1
    FULL_KERNEL = 2


NO_NORMALIZATION, NORMALIZE_BEFORE, NORMALIZE_AFTER, NORMALIZE_SYMMETRIC = NormalizationType
CONST_KERNEL, DIAG_KERNEL, FULL_KERNEL = KernelType
_NAMES = ("none", "before", "after", "symmetric")


class Unary:
    """A unary energy for `DenseCRF.setUnary`."""

    energy: FloatArray


class ConstUnary(Unary):
    """The energies `u` (labels, points)."""

    def __init__(self, u: Any) -> None:
        self.energy = numbers(u, "u", 2).copy()


class LogisticUnary(Unary):
    """The energies `L f`, with L (labels, k) and f (k, points)."""

    def __init__(self, L: Any, f: Any) -> None:  # noqa: N803 - a name of pydensecrf
        weights, features = numbers(L, "L", 2), numbers(f, "f", 2)
        if weights.shape[1] != features.shape[0]:
            raise CRFError(f"L and f have no product: they are {weights.shape} and {features.shape}.")
        self.energy = weights @ features


class DenseCRF:
    """A CRF over `nvar` points with `nlabels` labels; further arguments are ignored, as in pydensecrf."""

    def __init__(self, nvar: int, nlabels: int, *_: Any, **__: Any) -> None:
        self._nvar, self._nlabel = int(nvar), int(nlabels)
        if self._nvar < 1 or self._nlabel < 1:
            raise CRFError(f"A CRF needs points and labels; got {nvar} points and {nlabels} labels.")
        self._logarithms: FloatArray | None = None  # minus the unary energies
        self._terms: list[Term] = []

    def addPairwiseEnergy(  # noqa: N802 - a name of pydensecrf
        self,
        features: Any,
        compat: Any,
        kernel: int = DIAG_KERNEL,
        normalization: int = NORMALIZE_SYMMETRIC,
    ) -> None:
        """Add a Gaussian kernel over features (d, nvar), in units of its standard deviations.

        Args:
            features: (d, nvar).
            compat: a number w: each label attracts itself with it; a vector of one number per label, which is added
                to the energy: negative ones attract; or a matrix (labels, labels) of the same kind, made symmetric.
            kernel: a `KernelType`.
            normalization: a `NormalizationType`.
        """
        array = numbers(features, "features", 2)
        if array.shape[1] != self._nvar or not len(array):
            raise CRFError(f"features must be (d, {self._nvar}) with d > 0; got {array.shape}.")
        self._add(array, compat, kernel, normalization)

    def _add(self, features: FloatArray | Any, compat: Any, kernel: int, normalization: int) -> None:
        """Add a term over features, or over a lattice that a function makes."""
        received, name = gains(compat, self._nlabel), _NAMES[choice(NormalizationType, normalization)]
        choice(KernelType, kernel)
        made = features() if callable(features) else lattice(features, origin=self._nvar % 4 != 0)
        self._terms.append(Term(made, received, name))

    def setUnary(self, u: Unary) -> None:  # noqa: N802 - a name of pydensecrf
        """Take the energies of a `Unary`."""
        if not isinstance(u, Unary):
            raise TypeError(f"u must be a Unary, not {type(u).__name__}")
        self._set(u.energy)

    def setUnaryEnergy(self, u: Any, f: Any = None) -> None:  # noqa: N802 - a name of pydensecrf
        """Take the energies `u`, (labels, nvar) or (labels, ...) with nvar points; or `u f` with f (nvar, nvar)."""
        energy = numbers(u, "u", None)
        if f is not None:
            energy = LogisticUnary(energy, f).energy
        self._set(energy)

    def _set(self, energy: FloatArray) -> None:
        if energy.ndim < 2 or energy.shape[0] != self._nlabel or energy.size != self._nlabel * self._nvar:
            raise CRFError(f"unary energies must be {(self._nlabel, self._nvar)}; got {energy.shape}.")
        if np.isnan(energy.min()):
            raise CRFError("Unary energies must be numbers; got NaN. Clip probabilities before their logarithm.")
        self._logarithms = np.negative(energy, order="C").reshape(self._nlabel, -1)

    def _start(self) -> FloatArray:
        return np.zeros((self._nlabel, self._nvar), np.float32) if self._logarithms is None else self._logarithms

    def inference(self, niter: int) -> MatrixXf:
        """Probabilities (labels, nvar) after so many iterations; none for a number below 0, as in pydensecrf."""
        return wrap(infer(self._start(), self._terms, max(0, int(niter))))

    def startInference(self) -> tuple[MatrixXf, MatrixXf, MatrixXf]:  # noqa: N802 - a name of pydensecrf
        """Probabilities before the first iteration, 0 without unary energies; and two matrices for `stepInference`."""
        start = self._start() if self._logarithms is None else infer(self._logarithms, [], 0)
        return wrap(start), MatrixXf(), MatrixXf()

    def stepInference(self, Q: Any, tmp1: Any, tmp2: Any) -> None:  # noqa: N802, N803 - names of pydensecrf
        """Replace `Q` by the probabilities after one more iteration; the other two are not used."""
        Q[...] = step(self._start(), self._terms, self._checked(Q))

    def klDivergence(self, Q: Any) -> float:  # noqa: N802, N803 - names of pydensecrf
        """The divergence of the factorised distribution `Q` from the CRF's, up to a constant."""
        q = self._checked(Q).astype(np.float64)
        found = (q * np.log(np.maximum(q, 1e-20))).sum()
        if self._logarithms is not None:
            found -= (self._logarithms * q).sum()
        if self._terms:
            found -= (meanfield.received(self._terms, self._checked(Q)) * q).sum()
        return float(found)

    def _checked(self, q: Any) -> FloatArray:
        if not isinstance(q, np.ndarray):
            raise TypeError(f"Q must be a MatrixXf, not {type(q).__name__}")
        if q.shape != (self._nlabel, self._nvar):
            raise CRFError(f"Q must be {(self._nlabel, self._nvar)}; got {q.shape}.")
        return np.asarray(q, dtype=np.float32)


class DenseCRF2D(DenseCRF):
    """A CRF over the pixels of an image of width `w` and height `h`, row by row."""

    def __init__(self, w: int, h: int, nlabels: int, *_: Any, **__: Any) -> None:
        self._w, self._h = int(w), int(h)
        if self._w < 1 or self._h < 1:
            raise CRFError(f"An image needs pixels; got a width of {w} and a height of {h}.")
        super().__init__(self._w * self._h, nlabels)

    def addPairwiseGaussian(  # noqa: N802 - a name of pydensecrf
        self,
        sxy: Any,
        compat: Any,
        kernel: int = DIAG_KERNEL,
        normalization: int = NORMALIZE_SYMMETRIC,
    ) -> None:
        """Add a Gaussian kernel over positions, with a standard deviation of `sxy` px, or of (x, y) px."""
        spread, shape = sigmas(sxy, 2, "sxy"), (self._h, self._w)
        self._add(lambda: grid_lattice(shape, spread), compat, kernel, normalization)

    def addPairwiseBilateral(  # noqa: N802 - a name of pydensecrf
        self,
        sxy: Any,
        srgb: Any,
        rgbim: Any,
        compat: Any,
        kernel: int = DIAG_KERNEL,
        normalization: int = NORMALIZE_SYMMETRIC,
    ) -> None:
        """Add a Gaussian kernel over positions and colours.

        Args:
            sxy: standard deviation in px, a number or (x, y).
            srgb: standard deviation in colour units, a number or one per channel.
            rgbim: (h, w, 3) uint8.
            compat: see `addPairwiseEnergy`.
            kernel: a `KernelType`.
            normalization: a `NormalizationType`.
        """
        if rgbim is None:
            raise TypeError("rgbim must be an array, not None")
        image, shape = np.asarray(rgbim), (self._h, self._w)
        if image.dtype != np.uint8 or image.ndim != 3:
            raise CRFError(f"rgbim must be uint8 {(*shape, 3)}; got {image.dtype} {image.shape}.")
        if image.shape[:2] != shape:
            raise CRFError(f"rgbim must be {(*shape, 3)}, height first; got {image.shape}.")
        if image.shape[2] != 3:
            raise CRFError(
                f"rgbim has {image.shape[2]} channels, but must have 3; for other images give the features that "
                "utils.create_pairwise_bilateral makes to addPairwiseEnergy."
            )
        colours = np.empty((3, self._nvar), np.float32)
        for channel, sigma in enumerate(sigmas(srgb, 3, "srgb")):
            values = np.arange(256, dtype=np.float32) / np.float32(sigma)
            values.take(image[..., channel].ravel(), out=colours[channel], mode="clip")
        features = np.concatenate([grid(shape, sigmas(sxy, 2, "sxy")), colours])
        self._add(features, compat, kernel, normalization)
