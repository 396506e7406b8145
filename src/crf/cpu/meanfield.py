"""Mean field on the CPU: Numba, all threads; the result has the same bits for any number of threads.

An iteration is one pass over the points, then a blur of each lattice. The pass slices the blurred lattices, turns the
values into probabilities, and splats these while they are still in registers.
"""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

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
from .construction import build
from .jit import MOST_THREADS as MOST_THREADS
from .jit import alone, each, entry, inner
from .lattice import Lattice, blur, spread
from .planes import clear, largest_of_each, transpose
from .simd import element, exp, largest, load, muladd, rows, store, total, width_of


def infer(probs: FloatArray, rgb: Image, models: Sequence[DenseCRF], *, threads: int | None = None) -> list[FloatArray]:
    """Mean field of each model on one image; lattices are built once for all models.

    Besides the input it needs about 4 (W + C + 40) bytes per pixel; W is the padded number of labels that take part.

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


def padded(labels: int) -> int:
    """Width of a row for so many labels: a power of two, which compilers handle best, and at least a register."""
    return max(8, 1 << (labels - 1).bit_length())


def is_compiled() -> bool:
    """Whether there is compiled code for any row width, from an earlier call or from a process that `ahead` started."""
    kept = Path(str(_mean_field.stats.cache_path)).glob("meanfield._mean_field*.nbi")
    return bool(_mean_field.signatures) or any(kept)


class _Flow(NamedTuple):
    """Rows of one lattice during inference; their width is the padded number of labels."""

    sliced: npt.NDArray[np.void]  # (L,) blurred values, by slot
    splatted: npt.NDArray[np.void]  # (L,) sums over the points of a band, by slot
    values: npt.NDArray[np.void]  # (M + 1,) by vertex; the last is the value of a missing neighbour
    spare: npt.NDArray[np.void]  # (M + 1,)


def _run(flat: FloatArray, highest: FloatArray, rgb: Image, models: Sequence[DenseCRF]) -> list[FloatArray]:
    found: list[FloatArray] = []
    lattices: dict[tuple[str, float, float], Lattice] = {}
    unaries: dict[bytes, npt.NDArray[np.void]] = {}
    flows: dict[tuple[int, int], _Flow] = {}

    def flow(lattice: Lattice, width: int) -> _Flow:
        if (key := (id(lattice), width)) not in flows:
            flows[key] = _flow(lattice, width)
        return flows[key]

    for model in models:
        p = model.parameters
        kept = np.flatnonzero(highest >= p.label_floor)
        if not len(kept):
            kept = np.array([highest.argmax()])
        width = padded(len(kept))
        ahead.wait(width)
        if kept.tobytes() not in unaries:
            unaries[kept.tobytes()] = _unary(flat, kept, width)
        key = (model.guidance, p.bilateral_sigma_xy, p.bilateral_sigma_rgb)
        if key not in lattices:
            lattices[key] = build(bilateral_features(rgb, *key))
        if ("", p.spatial_sigma, 0) not in lattices:
            lattices["", p.spatial_sigma, 0] = spatial_lattice(*rgb.shape[:2], p.spatial_sigma)
        spatial, bilateral = lattices["", p.spatial_sigma, 0], lattices[key]
        result = np.empty_like(flat)
        clear(result, np.setdiff1d(np.arange(len(flat)), kept))
        weights = np.float32(p.spatial_weight * alpha(2)), np.float32(p.bilateral_weight * alpha(5))
        own = flow(spatial, width), flow(bilateral, width)
        _mean_field(p.iterations, unaries[kept.tobytes()], spatial, bilateral, *own, *weights, kept, result)
        found.append(result)
    return found


def run_two(
    unary: npt.NDArray[np.void],
    lattices: tuple[Lattice, Lattice],
    weights: tuple[float, float],
    iterations: int,
    labels: int,
) -> FloatArray:
    """Mean field of two terms with a weight and symmetric normalisation each, on rows of -U; gives (C, N)."""
    width = unary.dtype.itemsize // 4
    result, kept = np.empty((labels, len(unary)), np.float32), np.arange(labels)
    own = [_flow(lattice, width) for lattice in lattices]
    factors = [
        np.float32(weight * alpha(lattice.slots.shape[1] - 1))
        for weight, lattice in zip(weights, lattices, strict=True)
    ]
    _mean_field(iterations, unary, *lattices, *own, *factors, kept, result)
    return result


def _flow(lattice: Lattice, width: int) -> _Flow:
    slots, vertices = len(lattice.vertex), len(lattice.first)
    return _Flow(rows(slots, width), rows(slots, width), rows(vertices, width), rows(vertices, width))


def _unary(flat: FloatArray, kept: npt.NDArray[np.int64], width: int) -> npt.NDArray[np.void]:
    """(N,) rows of -U, the logarithms of the kept labels' probabilities."""
    planes = flat[kept]
    np.log(np.clip(planes, SMALLEST, 1, out=planes), out=planes)
    unary = rows(flat.shape[1], width)
    transpose(planes, unary, unary.view(np.float32).reshape(-1, width))
    return unary


@lru_cache(maxsize=16)
def spatial_lattice(height: int, width: int, sigma: float) -> Lattice:
    """The lattice of an image's pixel positions; it depends only on the image's size."""
    return build(positions(height, width, sigma))


@inner
def _slice(sliced, slots, weights, point):
    """The filtered value at a point, before the kernel's weight is applied."""
    row = load(sliced, slots[point, 0]) * element(weights, point, 0)
    for r in range(1, width_of(weights)):
        row = muladd(load(sliced, slots[point, r]), element(weights, point, r), row)
    return row


@inner
def _splat(splatted, slots, weights, point, row):
    for r in range(width_of(weights)):
        slot = slots[point, r]
        store(splatted, slot, muladd(row, element(weights, point, r), load(splatted, slot)))


@inner
def _update(
    index,
    first,
    last,
    unary,
    spatial,
    bilateral,
    flow_s,
    flow_b,
    blurred_s,
    blurred_b,
    weight_s,
    weight_b,
    kept,
    result,
):
    """Q = softmax(-U + sum of w K Q) (Kraehenbuehl and Koltun 2011, alg. 1), in the reference's order of additions.

    Works on the points of one band; the values of its vertices are first copied into its slots, side by side.
    """
    slots_s, weights_s, norm_s = spatial.slots, spatial.weights, spatial.norm
    slots_b, weights_b, norm_b = bilateral.slots, bilateral.weights, bilateral.norm
    sliced_s, splatted_s, sliced_b, splatted_b = flow_s.sliced, flow_s.splatted, flow_b.sliced, flow_b.splatted
    band = spread(index, len(bilateral.bands) - 1)
    for slot in range(spatial.band_slots[band], spatial.band_slots[band + 1]):
        store(sliced_s, slot, load(blurred_s, spatial.vertex[slot]))
        store(splatted_s, slot, np.float32(0))
    for slot in range(bilateral.band_slots[band], bilateral.band_slots[band + 1]):
        store(sliced_b, slot, load(blurred_b, bilateral.vertex[slot]))
        store(splatted_b, slot, np.float32(0))
    final = np.empty(1, unary.dtype)
    for point in range(bilateral.bands[band], bilateral.bands[band + 1]):
        x = load(unary, point)
        if not first:
            x = muladd(_slice(sliced_s, slots_s, weights_s, point), weight_s * norm_s[point], x)
            x = muladd(_slice(sliced_b, slots_b, weights_b, point), weight_b * norm_b[point], x)
        row = exp(x - largest(x))
        row = row * (np.float32(1) / total(row))
        if last:
            store(final, 0, row)
            for i in range(len(kept)):
                result[kept[i], point] = element(final, 0, i)
        else:
            _splat(splatted_s, slots_s, weights_s, point, row * norm_s[point])
            _splat(splatted_b, slots_b, weights_b, point, row * norm_b[point])


@entry
def _mean_field(iterations, unary, spatial, bilateral, flow_s, flow_b, weight_s, weight_b, kept, result):
    blurred_s, blurred_b = flow_s.values, flow_b.values
    for step in range(iterations + 1):
        if step > 0:
            blurred_s = blur(
                spatial.first, spatial.members, spatial.neighbours, flow_s.splatted, flow_s.values, flow_s.spare
            )
            blurred_b = blur(
                bilateral.first, bilateral.members, bilateral.neighbours, flow_b.splatted, flow_b.values, flow_b.spare
            )
        each(
            len(bilateral.bands) - 1, _update,
            (step == 0, step == iterations, unary, spatial, bilateral, flow_s, flow_b, blurred_s, blurred_b,
             weight_s, weight_b, kept, result),
        )  # fmt: skip
