"""Mean field in torch, on any device: a batch of images of any sizes at once.

On CUDA with Triton, kernels of our own do the work (`fused`); elsewhere tensor operations do (`sparse`).
"""

import warnings
from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib.util import find_spec

import torch
from torch import Tensor

from ..errors import is_memory
from ..model import SMALLEST, CRFParameters, DenseCRF, Image, check_range, check_shapes
from . import features, sparse
from .batch import Batch

Filter = Callable[[Tensor], Tensor]  # (N, C) to (N, C)


def infer(probs: Sequence[Tensor], rgb: Sequence[Image], models: Sequence[DenseCRF]) -> list[list[Tensor]]:
    """Mean field of each model on each image; lattices are built once for all models.

    Args:
        probs: per image (C, H, W) float32 in [0, 1], sum 1 over C, all on the device that computes. Not modified.
        rgb: per image (H, W, 3) uint8, the untouched image. Not modified.
        models: what to run.

    Returns:
        Per image, per model (C, H, W) float32 on the device, sum 1 over C; 0 for labels below the model's label floor.

    Raises:
        ValueError: the arrays do not fit each other, or `probs` are not probabilities.
        CRFError: standard deviations too small for a lattice.
    """
    for one, image in zip(probs, rgb, strict=True):
        check_shapes(tuple(one.shape), image)
    batch = Batch(tuple((image.shape[0], image.shape[1]) for image in rgb), probs[0].device)
    if has_kernels(batch.device):
        from . import fused

        flat = torch.cat([one.reshape(-1) for one in probs]).float()  # image after image, (C, H W)
        mean_field: Callable[..., list[Tensor]] = fused.mean_field
    else:
        flat = torch.cat([one.flatten(1) for one in probs], dim=1).T.float()  # (N, C)
        mean_field = _mean_field
    check_range(*torch.stack(flat.aminmax()).tolist())
    highest = torch.stack([one.amax((1, 2)) for one in probs])
    bilateral: dict[tuple[str, float, float], Filter] = {}
    found = []
    for model in models:
        key = (model.guidance, model.parameters.bilateral_sigma_xy, model.parameters.bilateral_sigma_rgb)
        if key not in bilateral:
            bilateral[key] = build(features.bilateral(batch, rgb, *key), batch)
        spatial = _spatial(batch, model.parameters.spatial_sigma)
        found.append(mean_field(flat, highest, batch, spatial, bilateral[key], model.parameters))
    return [[answer[i] for answer in found] for i in range(len(probs))]


def build(points: Tensor, batch: Batch, normalization: str = "symmetric", *, any_size: bool = False) -> Filter:
    """The normalised filter of features (d, N) float32, in units of their standard deviations.

    Args:
        points: the features.
        batch: their images, whose points do not see each other.
        normalization: `symmetric`, `before`, `after` or none of them.
        any_size: whether names of vertices may be hashed, see `permutohedral.strides`.
    """
    if has_kernels(batch.device):
        from . import lattice

        return lattice.build(points, batch, normalization, any_size=any_size)
    return sparse.build(points, batch, normalization, any_size=any_size)


def _mean_field(
    flat: Tensor, highest: Tensor, batch: Batch, spatial: Filter, bilateral: Filter, p: CRFParameters
) -> list[Tensor]:
    """Q = softmax(-U + sum of w K Q), as p e^x over its sum with U = -log p (Kraehenbuehl and Koltun 2011, alg. 1)."""
    kept = (highest >= p.label_floor) | (highest == highest.amax(1, keepdim=True))  # (B, C)
    columns = kept.any(0).nonzero().squeeze(1)
    absent = ~kept[batch.image][:, columns]  # (N, c)
    unary = flat[:, columns].clamp(SMALLEST, 1).masked_fill_(absent, 0)
    unary /= unary.sum(1, keepdim=True)
    q = unary
    for _ in range(p.iterations):
        x = torch.add(p.spatial_weight * spatial(q), bilateral(q), alpha=p.bilateral_weight)
        x.masked_fill_(absent, -torch.inf)
        q = unary * (x - x.amax(1, keepdim=True)).exp_()
        q /= q.sum(1, keepdim=True)
    answer = torch.zeros_like(flat).index_copy_(1, columns, q)
    parts = torch.split(answer, batch.points)
    return [part.T.reshape(-1, height, width) for part, (height, width) in zip(parts, batch.sizes, strict=True)]


@lru_cache(maxsize=2)
def _spatial(batch: Batch, sigma: float) -> Filter:
    """The filter over positions; it depends only on the image sizes."""
    return build(features.positions(batch, sigma), batch)


def forget() -> None:
    """Free the lattices that are kept for later batches."""
    _spatial.cache_clear()
    torch.cuda.empty_cache()


@lru_cache
def has_kernels(device: torch.device) -> bool:
    """Whether our kernels run on a device: it is CUDA, and Triton is there and can compile for it."""
    if device.type != "cuda" or not torch.cuda.is_available() or find_spec("triton") is None:
        return False
    try:
        from .lattice import try_out

        try_out(device)
    except Exception as error:  # Triton's need of a C compiler, or of a newer card, has errors of many kinds
        if is_memory(error):
            raise
        why = f"{type(error).__name__}: {error}".splitlines()[0]
        warnings.warn(f"Triton does not work here ({why}); the dense CRF runs without it, slower.", stacklevel=2)
        return False
    return True
