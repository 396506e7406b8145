"""pydensecrf's helpers: unary energies from labels and probabilities, features for pairwise energies."""

import logging
from collections.abc import Sequence
from numbers import Number
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import CRFError
from ...model import FloatArray

Array = npt.NDArray[Any]


class ArgumentError(CRFError, AssertionError, IndexError):
    """A value that cannot be used; also of the classes that pydensecrf raises there."""


def unary_from_labels(labels: Array, n_labels: int, gt_prob: float, zero_unsure: bool = True) -> FloatArray:
    """Unary energies of labels that are right with some probability; the rest is shared by the other labels.

    Args:
        labels: of any shape, whole numbers; from 1 on (0: unsure) with `zero_unsure`, else from 0 on. As in NumPy,
            negative ones count from the end.
        n_labels: how many labels there are, "unsure" not counted; at least 2.
        gt_prob: how probable it is that a given label is right, in (0, 1).
        zero_unsure: whether 0 stands for all labels alike.

    Returns:
        (n_labels, N) float32, C-contiguous.

    Raises:
        ValueError: a label out of range, or a wrong number; it is also an IndexError and an AssertionError.
    """
    if not 0 < gt_prob < 1:
        raise ArgumentError(f"gt_prob={gt_prob}: must lie between 0 and 1, without both.")
    if n_labels < 2:
        raise ArgumentError(f"n_labels={n_labels}: must be at least 2; a single label leaves nothing to decide.")
    flat = np.asarray(labels).ravel()
    if flat.dtype.kind not in "iu":
        raise ArgumentError(f"labels must be whole numbers, of an integer type; got {flat.dtype}.")
    index = flat.astype(np.int64) - (1 if zero_unsure else 0)
    unsure = index == -1 if zero_unsure else np.zeros(len(index), bool)
    if len(index) and not -n_labels <= index.min() <= index.max() < n_labels:
        raise ArgumentError(
            f"labels are {flat.min()} to {flat.max()}, but must be {int(zero_unsure)} to "
            f"{n_labels - 1 + int(zero_unsure)}{', or 0 for unsure' if zero_unsure else ''}."
        )
    energy = np.full((n_labels, len(index)), -np.log((1.0 - gt_prob) / (n_labels - 1)), np.float32)
    energy[index, np.arange(len(index))] = -np.log(gt_prob)
    energy[:, unsure] = -np.log(1.0 / n_labels)
    return energy


def compute_unary(labels: Array, M: int, GT_PROB: float = 0.5) -> FloatArray:  # noqa: N803 - names of pydensecrf
    """The old name of `unary_from_labels`."""
    logging.warning("compute_unary is an old name; unary_from_labels does the same.")
    return unary_from_labels(labels, M, GT_PROB)


def unary_from_softmax(sm: Array, scale: float | None = None, clip: float | None = 1e-5) -> FloatArray:
    """Unary energies -log p of probabilities.

    Args:
        sm: (C, ...) probabilities of the labels.
        scale: in (0, 1]: mix so much of them with the uniform distribution; None: all.
        clip: smallest probability before the logarithm; None: do not clip.

    Returns:
        (C, N) float32, C-contiguous.

    Raises:
        ValueError: a wrong scale; it is also an AssertionError.
    """
    probs = np.asarray(sm)
    if probs.ndim == 0 or probs.shape[0] == 0:
        raise ArgumentError(f"sm must be (labels, ...) and not empty; got shape {probs.shape}.")
    if scale is not None:
        if not 0 < scale <= 1:
            raise ArgumentError(f"scale={scale}: must be above 0, and at most 1.")
        probs = scale * probs + (1 - scale) * (np.ones(probs.shape) / len(probs))
    if clip is not None:
        probs = np.clip(probs, clip, 1.0)
    energy = np.log(probs)
    np.negative(energy, out=energy)
    return np.ascontiguousarray(energy.reshape(len(probs), -1), dtype=np.float32)


def softmax_to_unary(sm: Array, GT_PROB: float = 1) -> FloatArray:  # noqa: N803 - a name of pydensecrf
    """The old name of `unary_from_softmax`, without clipping."""
    logging.warning("softmax_to_unary is an old name; unary_from_softmax does the same, and clips.")
    return unary_from_softmax(sm, None if GT_PROB == 1 else GT_PROB, clip=None)


def create_pairwise_gaussian(sdims: Sequence[float] | float, shape: Sequence[int]) -> FloatArray:
    """Features of positions in an image or volume, for `addPairwiseEnergy`.

    Args:
        sdims: standard deviation along each axis, or one for all.
        shape: of the image or volume.

    Returns:
        (d, N) float32; the first axis comes first.
    """
    return _positions(sdims, tuple(shape)).reshape(len(tuple(shape)), -1)


def create_pairwise_bilateral(
    sdims: Sequence[float] | float, schan: Sequence[float] | float, img: Array, chdim: int = -1
) -> FloatArray:
    """Features of positions and colours in an image or volume, for `addPairwiseEnergy`.

    Args:
        sdims: standard deviation along each axis, or one for all.
        schan: standard deviation of each channel, or one for all.
        img: the image or volume, of any type.
        chdim: the axis that holds the channels; -1: there is none.

    Returns:
        (d + channels, N) float32.
    """
    image = np.asarray(img)
    if chdim == -1:
        image = image[np.newaxis]
    elif -image.ndim <= chdim < image.ndim:
        image = np.moveaxis(image, chdim, 0)
    else:
        raise ArgumentError(f"chdim={chdim}: the image has only {image.ndim} axes.")
    colours = image.astype(np.float32)
    for channel, sigma in enumerate(_each(schan, len(colours), "schan", fewer=True)):
        colours[channel] /= sigma
    found = np.concatenate([_positions(sdims, colours.shape[1:]), colours])
    return found.reshape(len(found), -1)


def _positions(sdims: Sequence[float] | float, shape: tuple[int, ...]) -> FloatArray:
    mesh = np.array(np.meshgrid(*[np.arange(size) for size in shape], indexing="ij"), dtype=np.float32)
    for axis, sigma in enumerate(_each(sdims, len(shape), "sdims")):
        mesh[axis] /= sigma
    return mesh


def _each(values: Sequence[float] | float, count: int, name: str, *, fewer: bool = False) -> list[float]:
    """A value for each, checked."""
    found = [values] * count if isinstance(values, Number) else list(values)  # type: ignore[arg-type]
    if len(found) != count and not (fewer and len(found) < count):
        raise ArgumentError(f"{name} must be a number, or hold {count}; got {len(found)}.")
    if any(not abs(sigma) > 0 for sigma in found):  # type: ignore[arg-type] # NaN, too
        raise ArgumentError(f"{name}={values}: a standard deviation must be a number other than 0.")
    return found  # type: ignore[return-value]
