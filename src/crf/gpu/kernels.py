"""The steps of mean field on a permutohedral lattice as Triton kernels. No atomics: the same bits in every run.

Rows of labels have S numbers, S a multiple of 8 (or 1), so that they begin at multiples of 32 bytes; C is the next
power of two. V points, vertices or segments share a program. `lattice` and `fused` say what the arrays hold.
"""

import triton
import triton.language as tl


@triton.jit(do_not_specialize=["segments"])
def splat(
    rows, begins, ends, members, weights, values, segments,
    S: tl.constexpr, C: tl.constexpr, V: tl.constexpr, J: tl.constexpr,
):  # fmt: skip
    """Weighted sums of rows, one per segment of the list of corners; J corners at a time, in the list's order.

    Args:
        rows: (N, S) float32.
        begins: (T,) int32, where a segment begins in the list.
        ends: (T,) int32.
        members: (L,) int32, the point of each corner.
        weights: (L,) float32.
        values: (T, S) float32, written.
        segments: T.
    """
    segment = tl.program_id(0).to(tl.int64) * V + tl.arange(0, V)
    inside = segment < segments
    begin = tl.load(begins + segment, mask=inside, other=0)
    end = tl.load(ends + segment, mask=inside, other=0)
    column = tl.arange(0, C)
    is_label = column < S
    total = tl.zeros((V, J, C), tl.float32)
    most = tl.max(end - begin, 0)
    for step in range(0, most, J):
        corner = begin[:, None] + step + tl.arange(0, J)[None, :]
        there = corner < end[:, None]
        point = tl.load(members + corner, mask=there, other=0).to(tl.int64)
        weight = tl.load(weights + corner, mask=there, other=0.0)
        mask = there[:, :, None] & is_label[None, None, :]
        row = tl.load(rows + (point[:, :, None] * S + column[None, None, :]), mask=mask, other=0.0)
        total += weight[:, :, None] * row
    address = segment[:, None] * S + column[None, :]
    tl.store(values + address, tl.sum(total, 1), mask=inside[:, None] & is_label[None, :])


@triton.jit(do_not_specialize=["first"])
def collect(values, heavy, begins, ends, first, S: tl.constexpr, C: tl.constexpr, J: tl.constexpr):
    """Add the further segments of a heavy vertex to its first one; one vertex per program.

    Args:
        values: (T, S) float32, changed.
        heavy: (H,) int32, vertices.
        begins: (H,) int32, a vertex's further segments, counted from `first`.
        ends: (H,) int32.
        first: the row of the first further segment, the number of vertices.
    """
    vertex = tl.load(heavy + tl.program_id(0)).to(tl.int64)
    begin = tl.load(begins + tl.program_id(0))
    end = tl.load(ends + tl.program_id(0))
    column = tl.arange(0, C)
    is_label = column < S
    total = tl.zeros((J, C), tl.float32)
    for step in range(begin, end, J):
        segment = step + tl.arange(0, J)
        mask = (segment < end)[:, None] & is_label[None, :]
        total += tl.load(values + ((first + segment.to(tl.int64))[:, None] * S + column[None, :]), mask=mask, other=0.0)
    own = tl.load(values + (vertex * S + column), mask=is_label, other=0.0)
    tl.store(values + (vertex * S + column), own + tl.sum(total, 0), mask=is_label)


@triton.jit(do_not_specialize=["axis", "vertices"])
def blur(old, neighbours, new, axis, vertices, S: tl.constexpr, C: tl.constexpr, V: tl.constexpr):
    """(1/2, 1, 1/2) along one axis.

    Args:
        old: (M, S) float32.
        neighbours: (d + 1, 2, M) int32, M where there is none.
        new: (M, S) float32, written.
        axis: 0..d.
        vertices: M.
    """
    vertex = tl.program_id(0).to(tl.int64) * V + tl.arange(0, V)
    inside = vertex < vertices
    place = neighbours + axis.to(tl.int64) * 2 * vertices + vertex
    left = tl.load(place, mask=inside, other=vertices)
    right = tl.load(place + vertices, mask=inside, other=vertices)
    column = tl.arange(0, C)[None, :]
    is_label = column < S
    own = tl.load(old + (vertex[:, None] * S + column), mask=inside[:, None] & is_label, other=0.0)
    a = tl.load(old + (left.to(tl.int64)[:, None] * S + column), mask=(left < vertices)[:, None] & is_label, other=0.0)
    b = tl.load(
        old + (right.to(tl.int64)[:, None] * S + column), mask=(right < vertices)[:, None] & is_label, other=0.0
    )
    tl.store(new + (vertex[:, None] * S + column), own + 0.5 * (a + b), mask=inside[:, None] & is_label)


@triton.jit
def _sliced(
    values, vertex, weights, n, inside, points, D: tl.constexpr, S: tl.constexpr, C: tl.constexpr, V: tl.constexpr
):
    """(V, C): the weighted sum of the rows of a point's vertices."""
    column = tl.arange(0, C)[None, :]
    total = tl.zeros((V, C), tl.float32)
    for r in tl.static_range(D + 1):
        place = tl.load(vertex + r * points + n, mask=inside, other=0).to(tl.int64)
        weight = tl.load(weights + r * points + n, mask=inside, other=0.0)
        row = tl.load(values + (place[:, None] * S + column), mask=inside[:, None] & (column < S), other=0.0)
        total += weight[:, None] * row
    return total


@triton.jit(do_not_specialize=["points"])
def slices(
    values, vertex, weights, after, rows, points, D: tl.constexpr, S: tl.constexpr, C: tl.constexpr, V: tl.constexpr
):
    """Rows of points (N, S) from those of vertices (M, S): one filter's result; arguments as in `update`."""
    n = tl.program_id(0).to(tl.int64) * V + tl.arange(0, V)
    inside = n < points
    column = tl.arange(0, C)[None, :]
    total = _sliced(values, vertex, weights, n, inside, points, D, S, C, V)
    factor = tl.load(after + n, mask=inside, other=0.0)[:, None]
    tl.store(rows + (n[:, None] * S + column), total * factor, mask=inside[:, None] & (column < S))


@triton.jit(do_not_specialize=["points", "weight1", "weight2"])
def update(
    unary, values1, vertex1, weights1, after1, values2, vertex2, weights2, after2, rows, points, weight1, weight2,
    D1: tl.constexpr, D2: tl.constexpr, S: tl.constexpr, C: tl.constexpr, V: tl.constexpr,
):  # fmt: skip
    """Slice from two lattices, and the softmax: Q = unary e^x over its sum, x = weight1 K1 Q + weight2 K2 Q.

    Args:
        unary: (N, S) float32, probabilities; 0 where there is no label.
        values1: (M1, S) float32, splatted and blurred.
        vertex1: (D1 + 1, N) int32.
        weights1: (D1 + 1, N) float32.
        after1: (N,) float32, factors on the filtered rows.
        values2: and the next three: of the other lattice.
        rows: (N, S) float32, written: Q.
        points: N.
        weight1: of the term, at least 0.
        weight2: at least 0.
    """
    n = tl.program_id(0).to(tl.int64) * V + tl.arange(0, V)
    inside = n < points
    column = tl.arange(0, C)[None, :]
    mask = inside[:, None] & (column < S)
    factor1 = tl.load(after1 + n, mask=inside, other=0.0)[:, None] * weight1
    factor2 = tl.load(after2 + n, mask=inside, other=0.0)[:, None] * weight2
    x = _sliced(values1, vertex1, weights1, n, inside, points, D1, S, C, V) * factor1
    x += _sliced(values2, vertex2, weights2, n, inside, points, D2, S, C, V) * factor2
    address = n[:, None] * S + column
    q = tl.load(unary + address, mask=mask, other=0.0) * tl.exp(x - tl.max(x, 1)[:, None])  # x >= 0: and 0 where none
    total = tl.where(inside, tl.sum(q, 1), 1.0)
    tl.store(rows + address, q / total[:, None], mask=mask)


@triton.jit(do_not_specialize=["total", "kept"])
def to_rows(planes, starts, labels, counts, rows, total, kept, S: tl.constexpr, C: tl.constexpr, V: tl.constexpr):
    """Probabilities of an image's kept labels, clipped to 1e-8 and normalised; second axis of the grid: images.

    Args:
        planes: float32, image after image (total, H W).
        starts: (B + 1,) int64, first point of each image.
        labels: (B, kept) int32, labels of each row's columns.
        counts: (B,) int32, how many of them.
        rows: (N, S) float32, written.
        total: number of labels.
        kept: the most labels of an image.
    """
    image = tl.program_id(1)
    start = tl.load(starts + image)
    size = tl.load(starts + image + 1) - start
    local = tl.program_id(0).to(tl.int64) * V + tl.arange(0, V)
    column = tl.arange(0, C)
    is_kept = column < tl.load(counts + image)
    label = tl.load(labels + image * kept + column, mask=is_kept, other=0).to(tl.int64)
    inside = (local < size)[:, None]
    address = start * total + label[None, :] * size + local[:, None]
    value = tl.load(planes + address, mask=inside & is_kept[None, :], other=1.0)
    value = tl.where(is_kept[None, :], tl.minimum(tl.maximum(value, 1e-8), 1.0), 0.0)
    value = value / tl.sum(value, 1)[:, None]
    tl.store(rows + ((start + local)[:, None] * S + column[None, :]), value, mask=inside & (column < S)[None, :])


@triton.jit(do_not_specialize=["total", "kept"])
def to_planes(rows, starts, labels, counts, planes, total, kept, S: tl.constexpr, C: tl.constexpr, V: tl.constexpr):
    """The way back: write the rows of Q to the planes of their labels; the other planes are 0 already."""
    image = tl.program_id(1)
    start = tl.load(starts + image)
    size = tl.load(starts + image + 1) - start
    local = tl.program_id(0).to(tl.int64) * V + tl.arange(0, V)
    column = tl.arange(0, C)
    is_kept = column < tl.load(counts + image)
    label = tl.load(labels + image * kept + column, mask=is_kept, other=0).to(tl.int64)
    mask = (local < size)[:, None] & is_kept[None, :]
    value = tl.load(rows + ((start + local)[:, None] * S + column[None, :]), mask=mask, other=0.0)
    tl.store(planes + (start * total + label[None, :] * size + local[:, None]), value, mask=mask)
