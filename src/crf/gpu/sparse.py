"""Filters on the permutohedral lattice in torch alone, on any device.

The lattices of a batch form one lattice whose parts do not touch. Splatting and slicing are products with sparse
matrices; blurring is a sum of selected rows.
"""

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor

from ..permutohedral import alpha, scales, strides
from .batch import Batch

for _news in ("Sparse CSR tensor support is in beta", "Sparse invariant checks are implicitly disabled"):
    warnings.filterwarnings("ignore", message=_news)


@dataclass(frozen=True)
class Filter:
    """A normalised kernel, usually D^-1/2 K D^-1/2, of N points on a lattice of M vertices."""

    splat: Tensor  # (M, N) sparse CSR
    slice: Tensor  # (N, M) sparse CSR
    neighbours: Tensor  # (d + 1, 2, M) int64; M if there is no neighbour

    def __call__(self, q: Tensor) -> Tensor:
        """(N, C) to (N, C)."""
        return self.slice @ _blur(self.splat @ q, self.neighbours)


def build(features: Tensor, batch: Batch, normalization: str = "symmetric", *, any_size: bool = False) -> Filter:
    """Lattice of features (d, N) float32, in units of their standard deviations; see `strides` for `any_size`."""
    d, points = features.shape
    factors = torch.from_numpy(strides(features.abs().amax(1).tolist(), len(batch.sizes), any_size=any_size)).to(
        features.device
    )
    weights, names = _simplices(features, torch.cat([factors[:d], factors.new_zeros(1)]))
    names += (batch.image * factors[d])[:, None]
    ordered, order = names.flatten().sort(stable=True)
    is_new = torch.ones_like(ordered, dtype=torch.bool)
    is_new[1:] = ordered[1:] != ordered[:-1]
    starts = is_new.nonzero().squeeze(1)  # waits for the device
    vertices = ordered[starts]
    vertex = torch.empty_like(order).scatter_(0, order, is_new.cumsum(0) - 1).int()  # of each corner of each point
    first = torch.cat([starts, order.new_tensor([len(order)])]).int()  # corners by vertex
    neighbours = _neighbours(vertices, factors, d)
    corners = torch.arange(0, len(order) + 1, d + 1, device=order.device, dtype=torch.int32)

    def matrices(scale: Tensor) -> tuple[Tensor, Tensor]:
        values = (weights * scale[:, None]).flatten()
        shape = (len(vertices), points)
        splat = torch.sparse_csr_tensor(first, (order // (d + 1)).int(), values[order], shape, check_invariants=False)
        return splat, torch.sparse_csr_tensor(corners, vertex, values, shape[::-1], check_invariants=False)

    splat, sliced = matrices(torch.ones_like(features[0]))
    received = sliced @ _blur(splat @ torch.ones(points, 1, device=features.device), neighbours)
    norm = (received.squeeze(1) * alpha(d) + 1e-20).rsqrt()
    ones = torch.ones_like(norm)
    before = {"symmetric": norm, "before": norm * norm}.get(normalization, ones)
    after = {"symmetric": norm, "after": norm * norm}.get(normalization, ones)
    return Filter(matrices(before)[0], matrices(after * alpha(d))[1], neighbours)


def _simplices(features: Tensor, factors: Tensor) -> tuple[Tensor, Tensor]:
    """Barycentric weights (N, d + 1) and names of the vertices of the simplex around each point (Adams, p. 5)."""
    d = len(features)
    lifted, rest = [torch.empty(0)] * (d + 1), torch.zeros_like(features[0])
    for j in range(d, 0, -1):
        part = features[j - 1] * float(scales(d)[j - 1])
        lifted[j] = rest - j * part
        rest = rest + part
    lifted[0] = rest
    point = torch.stack(lifted, 1)  # (N, d + 1)
    down = point.new_ones(()) / (d + 1)
    nearest = (point * down).round()
    remainder = nearest * (d + 1)
    offset = point - remainder
    behind = offset[:, :, None] < offset[:, None, :]  # (N, i, j): i lies behind j
    later = torch.ones(d + 1, d + 1, dtype=torch.bool, device=point.device).triu(1)  # ties: the first comes first
    rank = ((behind & later) | (~behind.transpose(1, 2) & later.T)).sum(2)
    rank += nearest.sum(1, keepdim=True).long()  # if the coordinates do not sum to zero: move back onto the plane
    shift = (rank < 0).long() - (rank > d).long()
    rank += shift * (d + 1)
    remainder += shift * (d + 1)
    by_rank = torch.empty_like(point).scatter_(1, rank, (point - remainder) * down)
    falling = by_rank.flip(1)
    weights = falling.clone()
    weights[:, 0] += 1 - by_rank[:, 0]
    weights[:, 1:] -= falling[:, :-1]
    stepped = torch.empty_like(rank).scatter_(1, rank, factors.expand_as(rank)).flip(1)[:, :-1]
    steps = factors.sum() - (d + 1) * stepped
    first = (remainder.long() * factors).sum(1, keepdim=True)
    return weights, torch.cat([first, first + steps.cumsum(1)], 1)


def _neighbours(vertices: Tensor, factors: Tensor, d: int) -> Tensor:
    """(d + 1, 2, M): indices, in the sorted `vertices`, of the neighbours along each axis; M if there is none."""
    found = []
    for axis in range(d + 1):
        step = (d + 1) * factors[axis] - factors[:d].sum() if axis < d else -factors[:d].sum()
        for name in (vertices + step, vertices - step):
            place = torch.searchsorted(vertices, name).clamp_max(len(vertices) - 1)
            found.append(torch.where(vertices[place] == name, place, len(vertices)))
    return torch.stack(found).view(d + 1, 2, -1)


def _blur(values: Tensor, neighbours: Tensor) -> Tensor:
    """(1/2, 1, 1/2) along every axis; values (M, C)."""
    old = torch.cat([values, values.new_zeros(1, values.shape[1])])  # the value of a missing neighbour
    new, sides, others = old.clone(), torch.empty_like(values), torch.empty_like(values)  # fresh memory is slow
    for left, right in neighbours:
        torch.index_select(old, 0, left, out=sides)
        sides += torch.index_select(old, 0, right, out=others)
        torch.add(old[:-1], sides, alpha=0.5, out=new[:-1])
        old, new = new, old
    return old[:-1]
