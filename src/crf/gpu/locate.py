"""Where points lie in the permutohedral lattice, as a Triton kernel."""

import triton
import triton.language as tl


@triton.jit(do_not_specialize=["points"])
def simplices(
    features, scale, factors, image, weights, names, points, D: tl.constexpr, P: tl.constexpr, V: tl.constexpr
):
    """The simplex around each point (Adams et al. 2010, p. 5); P > D coordinates side by side.

    The order of float32 operations is that of the other back ends: compile without fused multiply-add.

    Args:
        features: (D, N) float32.
        scale: (D,) float32, see `permutohedral.scales`.
        factors: (D + 1,) int64, see `permutohedral.strides`.
        image: (N,) int32.
        weights: (D + 1, N) float32, written: barycentric.
        names: (D + 1, N) int64, written: names of the vertices.
        points: N.
    """
    n = tl.program_id(0).to(tl.int64) * V + tl.arange(0, V)
    inside = n < points
    column = tl.arange(0, P)[None, :]
    valid = column <= D
    point = tl.zeros((V, P), tl.float32)
    rest = tl.zeros((V,), tl.float32)
    for j in tl.static_range(D, 0, -1):
        part = tl.load(features + (j - 1) * points + n, mask=inside, other=0.0) * tl.load(scale + (j - 1))
        point = tl.where(column == j, (rest - part * j)[:, None], point)
        rest = rest + part
    point = tl.where(column == 0, rest[:, None], point)
    down: tl.constexpr = 1.0 / (D + 1)
    nearest = (point * down + 12582912.0) - 12582912.0  # 1.5 * 2^23: rounds to even, for less than 2^22
    remainder = nearest * (D + 1)
    offset = point - remainder
    rank = tl.zeros((V, P), tl.int32)
    for j in tl.static_range(D + 1):  # ties: the first comes first
        other = tl.sum(tl.where(column == j, offset, 0.0), 1)[:, None]
        rank += (((column < j) & (offset < other)) | ((column > j) & (offset <= other))).to(tl.int32)
    rank += tl.sum(nearest, 1)[:, None].to(tl.int32)  # coordinates that do not sum to zero: back onto the plane
    shift = ((rank < 0).to(tl.int32) - (rank > D).to(tl.int32)) * (D + 1)
    rank = tl.where(valid, rank + shift, P)
    remainder += shift.to(tl.float32)
    offset = (point - remainder) * down
    factor = tl.load(factors + column, mask=column < D, other=0)
    step = tl.sum(factor, 1)
    name = tl.sum(tl.where(valid, remainder.to(tl.int64), 0) * factor, 1)
    name += tl.load(image + n, mask=inside, other=0).to(tl.int64) * tl.load(factors + D)
    last = tl.sum(tl.where(rank == D, offset, 0.0), 1)
    lowest = tl.sum(tl.where(rank == 0, offset, 0.0), 1)
    tl.store(weights + n, last + (1.0 - lowest), mask=inside)
    tl.store(names + n, name, mask=inside)
    for r in tl.static_range(1, D + 1):
        value = tl.sum(tl.where(rank == D - r, offset, 0.0), 1)
        name += step - tl.sum(tl.where(rank == D - r + 1, factor, 0), 1) * (D + 1)
        tl.store(weights + r * points + n, value - last, mask=inside)
        tl.store(names + r * points + n, name, mask=inside)
        last = value
