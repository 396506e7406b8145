"""Filters on the permutohedral lattice with our Triton kernels: CUDA tensors, or any under Triton's interpreter.

The corners of all points are sorted by the names of their vertices. So a vertex's sum is over a piece of that list, in
the order of the points: no atomic additions, the same bits in every run. Long pieces are cut into segments.
"""

from dataclasses import dataclass

import numpy as np
import torch
import triton
from torch import Tensor

from ..permutohedral import alpha, scales, strides
from . import kernels
from .batch import Batch
from .locate import simplices

LONGEST = 64  # corners in a segment; longer ones wait for each other, shorter ones need more rows
TILE = 1024  # numbers of a program's rows


@dataclass(frozen=True)
class Lattice:
    """A normalised kernel, usually D^-1/2 K D^-1/2, of N points on a lattice of M vertices, M + E segments."""

    begins: Tensor  # (M + E,) int32: where a segment begins in the list of corners; first one segment for each vertex
    ends: Tensor  # (M + E,) int32
    heavy: tuple[Tensor, Tensor, Tensor]  # (H,) int32 each: vertices with further segments; these, counted from M
    members: Tensor  # (N (d + 1),) int32: the point of each corner, sorted by vertex
    flow: Tensor  # (N (d + 1),) float32: weight of each corner, sorted by vertex, times the factor of its point
    vertex: Tensor  # (d + 1, N) int32: of each corner
    weights: Tensor  # (d + 1, N) float32: barycentric
    after: Tensor  # (N,) float32: factors on the filtered rows
    neighbours: Tensor  # (d + 1, 2, M) int32; M if there is no neighbour

    def __call__(self, q: Tensor) -> Tensor:
        """(N, C) to (N, C)."""
        rows = q.new_zeros(len(q), width(q.shape[1]))
        rows[:, : q.shape[1]] = q
        with torch.cuda.device_of(q):  # type: ignore[no-untyped-call]  # where Triton launches
            return self.slice(self.blur(self.splat(rows)))[:, : q.shape[1]]

    def splat(self, rows: Tensor) -> Tensor:
        """Rows of vertices (M, S) from those of points (N, S)."""
        vertices, S, C = self.neighbours.shape[2], rows.shape[1], triton.next_power_of_2(rows.shape[1])
        values = rows.new_empty(len(self.begins), S)
        V = share(2 * C)
        kernels.splat[triton.cdiv(len(values), V),](
            rows, self.begins, self.ends, self.members, self.flow, values, len(values),
            S=S, C=C, V=V, J=4,
        )  # fmt: skip
        if len(self.heavy[0]):
            kernels.collect[len(self.heavy[0]),](values, *self.heavy, vertices, S=S, C=C, J=32)
        return values[:vertices]

    def blur(self, values: Tensor) -> Tensor:
        """(M, S), overwritten, to (M, S)."""
        new, S, C = torch.empty_like(values), values.shape[1], triton.next_power_of_2(values.shape[1])
        V = share(C)
        for axis in range(len(self.neighbours)):
            kernels.blur[triton.cdiv(len(values), V),](values, self.neighbours, new, axis, len(values), S=S, C=C, V=V)
            values, new = new, values
        return values

    def slice(self, values: Tensor) -> Tensor:
        """Rows of points (N, S) from those of vertices (M, S)."""
        points, S, C = len(self.after), values.shape[1], triton.next_power_of_2(values.shape[1])
        rows, V = values.new_empty(points, S), share(C)
        kernels.slices[triton.cdiv(points, V),](
            values, self.vertex, self.weights, self.after, rows, points, D=len(self.vertex) - 1, S=S, C=C, V=V
        )
        return rows


def share(numbers: int) -> int:
    """How many rows of so many numbers, a power of two, a program works on."""
    return max(1, min(128, TILE // numbers))


def width(labels: int) -> int:
    """Numbers in a row of so many labels: rows begin at multiples of 32 bytes."""
    return -(-labels // 8) * 8


def build(features: Tensor, batch: Batch, normalization: str = "symmetric", *, any_size: bool = False) -> Lattice:
    """Lattice of features (d, N) float32, in units of their standard deviations; see `meanfield.build`."""
    with torch.cuda.device_of(features):  # type: ignore[no-untyped-call]  # where Triton launches
        return _build(features, batch, normalization, any_size)


def _build(features: Tensor, batch: Batch, normalization: str, any_size: bool) -> Lattice:
    d, points = features.shape
    device, largest = features.device, features.abs().amax(1).tolist()
    factors = torch.from_numpy(strides(largest, len(batch.sizes), any_size=any_size)).to(device)
    scale = torch.from_numpy(np.array(scales(d), np.float32)).to(device)
    weights = torch.empty(d + 1, points, device=device)
    names = torch.empty(d + 1, points, dtype=torch.int64, device=device)
    P = triton.next_power_of_2(d + 1)
    V = max(1, 512 // P)
    simplices[triton.cdiv(points, V),](
        features, scale, factors, batch.image.int(), weights, names, points, D=d, P=P, V=V, enable_fp_fusion=False
    )
    ordered, order = names.view(-1).sort(stable=True)
    del names
    is_new = torch.ones_like(ordered, dtype=torch.bool)
    torch.ne(ordered[1:], ordered[:-1], out=is_new[1:])
    starts = is_new.nonzero().squeeze(1)  # waits for the device
    vertices = ordered[starts]
    number = is_new.cumsum(0, dtype=torch.int32).sub_(1)
    vertex = torch.empty_like(number).scatter_(0, order, number).view(d + 1, points)
    first = torch.cat([starts, starts.new_tensor([len(order)])])  # corners by vertex
    begins, ends, heavy = _segments(first)
    members, flow = (order % points).int(), weights.view(-1)[order]
    del ordered, is_new, number, order
    ones, neighbours = torch.ones(points, 1, device=device), _neighbours(vertices, factors, d)
    plain = Lattice(begins, ends, heavy, members, flow, vertex, weights, ones.squeeze(1), neighbours)
    received = plain.slice(plain.blur(plain.splat(ones)))
    norm = (received.squeeze(1) * alpha(d) + 1e-20).rsqrt()
    before = {"symmetric": norm, "before": norm * norm}.get(normalization)
    after = {"symmetric": norm, "after": norm * norm}.get(normalization, ones.squeeze(1)) * alpha(d)
    flow = flow if before is None else flow * before[members]
    return Lattice(begins, ends, heavy, members, flow, vertex, weights, after, neighbours)


def _segments(first: Tensor) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor, Tensor]]:
    """Begins, ends and heavy vertices, see `Lattice`, from (M + 1,) int64: where the corners of a vertex begin."""
    begin, end = first[:-1], first[1:]
    further = (end - begin - 1) // LONGEST  # segments after the first
    heavy = further.nonzero().squeeze(1)  # waits for the device
    counts = further[heavy]
    ends = counts.cumsum(0)
    vertex = heavy.repeat_interleave(counts)  # waits, too
    place = torch.arange(len(vertex), device=first.device) - (ends - counts).repeat_interleave(
        counts, output_size=len(vertex)
    )
    begins = torch.cat([begin, begin[vertex] + (place + 1) * LONGEST])
    last = torch.minimum(begins + LONGEST, torch.cat([end, end[vertex]]))
    return begins.int(), last.int(), (heavy.int(), (ends - counts).int(), ends.int())


def _neighbours(vertices: Tensor, factors: Tensor, d: int) -> Tensor:
    """(d + 1, 2, M) int32: indices, in the sorted `vertices`, of the neighbours along each axis; M if there is none."""
    count = len(vertices)
    own = torch.arange(count, dtype=torch.int32, device=vertices.device)
    found = own.new_full((d + 1, 2, count + 1), count)  # the last place takes what is not there
    for axis in range(d + 1):
        step = (d + 1) * factors[axis] - factors[:d].sum() if axis < d else -factors[:d].sum()
        name = vertices + step
        place = torch.searchsorted(vertices, name).clamp_max_(count - 1)
        there = vertices[place] == name
        found[axis, 0, :count] = torch.where(there, place, count)
        found[axis, 1].scatter_(0, torch.where(there, place, count), own)
    return found[:, :, :count].contiguous()


def try_out(device: torch.device) -> None:
    """Build and use a small lattice: raises if Triton cannot compile for the device."""
    features = torch.arange(8.0, device=device).view(2, 4)
    build(features, Batch(((1, 4),), device))(torch.ones(4, 1, device=device))
