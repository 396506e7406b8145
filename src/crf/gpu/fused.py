"""Mean field with our Triton kernels: per iteration, splatting, blurring, and slicing of both terms with the softmax.

Each image keeps its own labels side by side in a row's first columns, so a batch needs rows only as wide as its image
of most labels does.
"""

import torch
import triton
from torch import Tensor

from ..model import CRFParameters
from . import kernels
from .batch import Batch
from .lattice import Lattice, share, width


def mean_field(
    planes: Tensor, highest: Tensor, batch: Batch, spatial: Lattice, bilateral: Lattice, p: CRFParameters
) -> list[Tensor]:
    """Q = softmax(-U + sum of w K Q), as p e^x over its sum with U = -log p (Kraehenbuehl and Koltun 2011, alg. 1).

    Args:
        planes: float32, image after image (C, H W).
        highest: (B, C), each label's largest probability.
        batch: the images.
        spatial: the filter over positions.
        bilateral: the filter over positions and colours.
        p: weights, iterations and label floor.

    Returns:
        Per image (C, H, W) float32.
    """
    with torch.cuda.device_of(planes):  # type: ignore[no-untyped-call]  # where Triton launches
        rows = Rows(planes, highest, batch, p.label_floor)
        for _ in range(p.iterations):
            flows = [one.blur(one.splat(rows.q)) for one in (spatial, bilateral)]
            rows.update(flows[0], spatial, p.spatial_weight, flows[1], bilateral, p.bilateral_weight)
        return rows.answer()


class Rows:
    """Probabilities Q (N, S) of the labels that each image keeps.

    Args:
        planes: float32, image after image (C, H W).
        highest: (B, C), each label's largest probability.
        batch: the images.
        floor: labels below it are dropped, except an image's most probable one.
    """

    def __init__(self, planes: Tensor, highest: Tensor, batch: Batch, floor: float) -> None:
        kept = (highest >= floor) | (highest == highest.amax(1, keepdim=True))  # (B, C)
        self._counts = kept.sum(1, dtype=torch.int32)
        self._labels = (~kept).int().argsort(dim=1, stable=True)[:, : int(self._counts.max())].int().contiguous()
        self._planes, self._batch = planes, batch
        self._total, self._S = highest.shape[1], width(self._labels.shape[1])
        self._C = triton.next_power_of_2(self._S)
        self._V = share(self._C)
        self._unary = planes.new_empty(sum(batch.points), self._S)
        self._move(kernels.to_rows, planes, self._unary)
        self.q = self._unary

    def _move(self, kernel: "triton.JITFunction", source: Tensor, target: Tensor) -> None:
        grid = triton.cdiv(max(self._batch.points), self._V), len(self._counts)
        kernel[grid](
            source, self._batch.starts, self._labels, self._counts, target, self._total, self._labels.shape[1],
            S=self._S, C=self._C, V=self._V,
        )  # fmt: skip

    def update(
        self, values1: Tensor, one: Lattice, weight1: float, values2: Tensor, two: Lattice, weight2: float
    ) -> None:
        """The next Q from what was splatted and blurred on two lattices."""
        if self.q is self._unary:
            self.q = torch.empty_like(self._unary)
        points = len(self.q)
        kernels.update[triton.cdiv(points, self._V),](
            self._unary, values1, one.vertex, one.weights, one.after, values2, two.vertex, two.weights, two.after,
            self.q, points, float(weight1), float(weight2),
            D1=len(one.vertex) - 1, D2=len(two.vertex) - 1, S=self._S, C=self._C, V=self._V,
        )  # fmt: skip

    def answer(self) -> list[Tensor]:
        """Per image (C, H, W) float32; 0 for labels that were dropped."""
        planes = torch.zeros_like(self._planes)
        self._move(kernels.to_planes, self.q, planes)
        parts = torch.split(planes, [self._total * count for count in self._batch.points])
        return [part.view(self._total, *size) for part, size in zip(parts, self._batch.sizes, strict=True)]
