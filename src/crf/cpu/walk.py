"""One pass over the points of an iteration: slice, softmax and splat."""

import numpy as np

from .lattices.lattice import clear_band, spread
from .planes import LANES, TILE, scatter
from .vectors.arithmetic import exp, largest, muladd, total
from .vectors.jit import inner
from .vectors.simd import element, load, load_at, number_at, store, store_at, width_of


@inner
def _slice(blurred, slots, vertex, weights, point):
    """The filtered value at a point, before the kernel's weight is applied."""
    corners = width_of(weights)
    row = load(blurred, number_at(vertex, number_at(slots, point * corners))) * element(weights, point, 0)
    for r in range(1, corners):
        slot = number_at(slots, point * corners + r)
        row = muladd(load(blurred, number_at(vertex, slot)), element(weights, point, r), row)
    return row


@inner
def _splat(splatted, slots, weights, point, row):
    """Add a point's value to its vertices."""
    for r in range(width_of(weights)):
        slot = number_at(slots, point * width_of(weights) + r)
        store(splatted, slot, muladd(row, element(weights, point, r), load(splatted, slot)))


@inner
def update(index, first, last, unary, kernels, blurred, splatted, weights, labels, flat):
    """Q = softmax(-U + sum of w K Q) (Kraehenbuehl and Koltun 2011, alg. 1) for the points of one band.

    The sum has the reference's order. Eight points go through each stage together, so that none waits for the
    arithmetic of another. Arrays are unpacked out here: in the loop, Numba would count references to them.
    """
    spatial, bilateral = kernels
    slots_s, vertex_s, weights_s, norm_s = spatial.slots, spatial.vertex, spatial.weights, spatial.norm
    slots_b, vertex_b, weights_b, norm_b = bilateral.slots, bilateral.vertex, bilateral.weights, bilateral.norm
    (blurred_s, blurred_b), (splatted_s, splatted_b), (weight_s, weight_b) = blurred, splatted, weights
    band = spread(index, len(bilateral.bands) - 1)
    begin, end = bilateral.bands[band], bilateral.bands[band + 1]
    if not last:
        clear_band(band, spatial.owned, spatial.further, splatted_s)
        clear_band(band, bilateral.owned, bilateral.further, splatted_b)
    width = width_of(unary)
    batch, tile = np.empty(LANES * width, np.float32), np.empty(LANES, TILE)
    for start in range(begin, end, LANES):
        count = min(LANES, end - start)
        for i in range(count):
            point = start + i
            x = load(unary, point)
            if not first:
                x = muladd(_slice(blurred_s, slots_s, vertex_s, weights_s, point), weight_s * norm_s[point], x)
                x = muladd(_slice(blurred_b, slots_b, vertex_b, weights_b, point), weight_b * norm_b[point], x)
            store_at(batch, i * width, x)
        for i in range(count):
            x = load_at(batch, i * width, unary)
            row = exp(x - largest(x))
            store_at(batch, i * width, row * (np.float32(1) / total(row)))
        if last:
            scatter(batch, tile, labels, start, count, len(unary), flat)
        else:
            for i in range(count):
                point = start + i
                row = load_at(batch, i * width, unary)
                _splat(splatted_s, slots_s, weights_s, point, row * norm_s[point])
                _splat(splatted_b, slots_b, weights_b, point, row * norm_b[point])
