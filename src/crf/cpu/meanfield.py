"""Mean field on the CPU: Numba, all threads; the result has the same bits for any number of threads.

An iteration is one pass over the points, `walk`, then a blur of each lattice.
"""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..model import (
    SMALLEST,
    DenseCRF,
    FloatArray,
    Image,
    bilateral_features,
    check_range,
    check_shapes,
    positions,
)
from ..permutohedral import alpha
from . import ahead
from .lattices.construction import build
from .lattices.lattice import Lattice, blur
from .planes import LANES, clear, gather, largest_of_each
from .vectors.jit import MOST_THREADS as MOST_THREADS
from .vectors.jit import alone, each, entry
from .vectors.simd import rows
from .walk import update


def infer(probs: FloatArray, rgb: Image, models: Sequence[DenseCRF], *, threads: int | None = None) -> list[FloatArray]:
    """Mean field of each model on one image; lattices are built once for all models.

    Besides the input it needs about 4 (W + C + 40) bytes per pixel, and 8 W bytes per slot of both lattices; W is the
    padded number of labels that take part.

    Args:
        probs: (C, H, W) float32 in [0, 1], sum 1 over C. Not modified.
        rgb: (H, W, 3) uint8, the untouched image. Not modified.
        models: what to run.
        threads: how many; None: all that Numba has.

    Returns:
        Per model (C, H, W) float32, sum 1 over C; 0 for labels below the model's label floor.

    Raises:
        ValueError: the arrays do not fit each other, or `probs` are not probabilities.
        CRFError: standard deviations too small for a lattice.
    """
    check_shapes(probs.shape, rgb)
    flat = np.ascontiguousarray(probs.reshape(len(probs), -1), dtype=np.float32)
    with alone(flat.shape[1], threads):
        highest = _checked_highest(flat)
        return [found.reshape(probs.shape) for found in _run(flat, highest, rgb, models)]


def _checked_highest(flat: FloatArray) -> FloatArray:
    """The largest value of each label; raises ValueError if the values are not probabilities.

    One pass is enough: read as integers, floats >= 0 keep their order, and negative floats and NaN lie above them.
    """
    bits, highest = flat.view(np.uint32), np.empty(len(flat), np.uint32)
    bits.flags.writeable = False  # for Numba, writable and read-only arrays are different types
    largest_of_each(bits, highest)
    if highest.max() > np.float32(1).view(np.uint32):
        check_range(float(flat.min()), float(flat.max()))
        return np.asarray(flat.max(axis=1))  # a little above 1, or a negative zero
    return np.asarray(highest.view(np.float32))


def is_compiled() -> bool:
    """Whether there is compiled code for any row width, from an earlier call or from a process that `ahead` started."""
    kept = Path(str(_mean_field.stats.cache_path)).glob("meanfield._mean_field*.nbi")
    return bool(_mean_field.signatures) or any(kept)


def padded(labels: int) -> int:
    """Width of a row for so many labels: a multiple of 8, and from 32 on one of two per power of two."""
    step = max(LANES, (1 << (labels - 1).bit_length()) // 4)
    return -(-labels // step) * step


def _run(flat: FloatArray, highest: FloatArray, rgb: Image, models: Sequence[DenseCRF]) -> list[FloatArray]:
    found: list[FloatArray] = []
    lattices: dict[tuple[str, float, float], Lattice] = {}
    unaries: dict[bytes, npt.NDArray[np.void]] = {}
    for model in models:
        p = model.parameters
        kept = np.flatnonzero(highest >= p.label_floor)
        if not len(kept):
            kept = np.array([highest.argmax()])
        if kept.tobytes() not in unaries:
            unaries[kept.tobytes()] = unary_rows(flat, kept, SMALLEST)
        key = (model.guidance, p.bilateral_sigma_xy, p.bilateral_sigma_rgb)
        if key not in lattices:
            lattices[key] = build(bilateral_features(rgb, *key))
        if ("", p.spatial_sigma, 0) not in lattices:
            lattices["", p.spatial_sigma, 0] = spatial_lattice(*rgb.shape[:2], p.spatial_sigma)
        result = np.empty_like(flat)
        clear(result, np.setdiff1d(np.arange(len(flat)), kept))
        both = lattices["", p.spatial_sigma, 0], lattices[key]
        _iterate(unaries[kept.tobytes()], kept, both, (p.spatial_weight, p.bilateral_weight), p.iterations, result)
        found.append(result)
    return found


def run_two(
    logarithms: FloatArray, lattices: tuple[Lattice, Lattice], weights: tuple[float, float], iterations: int
) -> FloatArray:
    """Mean field of two terms with a weight and symmetric normalisation each, on -U (C, N); gives (C, N)."""
    labels, result = np.arange(len(logarithms)), np.empty(logarithms.shape, np.float32)
    _iterate(unary_rows(logarithms, labels, 0.0), labels, lattices, weights, iterations, result)
    return result


def _lanes(labels: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """(W,) label of each lane, or -1."""
    found = np.full(padded(len(labels)), -1)
    found[: len(labels)] = labels
    return found


def unary_rows(planes: FloatArray, labels: npt.NDArray[np.int64], smallest: float) -> npt.NDArray[np.void]:
    """(N,) rows of -U; see `gather`."""
    lanes, flat = _lanes(labels), planes.reshape(-1)
    flat.flags.writeable = False  # for Numba, writable and read-only arrays are different types
    unary = rows(planes.shape[1], len(lanes))
    gather(flat, planes.shape[1], lanes, np.float32(smallest), unary.view(np.float32).reshape(-1))
    return unary


def _iterate(
    unary: npt.NDArray[np.void],
    labels: npt.NDArray[np.int64],
    lattices: tuple[Lattice, Lattice],
    weights: tuple[float, float],
    iterations: int,
    result: FloatArray,
) -> None:
    """Fill the planes of `result` (C, N) that belong to the labels."""
    factors = tuple(
        np.float32(weight * alpha(lattice.slots.shape[1] - 1))
        for weight, lattice in zip(weights, lattices, strict=True)
    )
    lanes = _lanes(labels)
    ahead.wait(len(lanes))
    values = [tuple(rows(len(lattice.vertex), len(lanes)) for lattice in lattices) for _ in range(2)]
    _mean_field(iterations, unary, lattices, *values, factors, lanes, result.reshape(-1))


@lru_cache(maxsize=16)
def spatial_lattice(height: int, width: int, sigma: float) -> Lattice:
    """The lattice of an image's pixel positions; it depends only on the image's size."""
    return build(positions(height, width, sigma))


@entry
def _mean_field(iterations, unary, lattices, blurred, splatted, weights, lanes, result):
    spatial, bilateral = lattices
    for step in range(iterations + 1):
        each(
            len(bilateral.bands) - 1, update,
            (step == 0, step == iterations, unary, lattices, blurred, splatted, weights, lanes, result),
        )  # fmt: skip
        if step < iterations:
            blur(spatial.topology, splatted[0])
            blur(bilateral.topology, splatted[1])
            blurred, splatted = splatted, blurred
