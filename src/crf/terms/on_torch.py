"""Mean field of any pairwise terms in torch, on any device: all pictures of a batch at once."""

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..errors import CRFError
from ..gpu.batch import Batch
from ..gpu.meanfield import Filter, build
from ..model import SMALLEST, check_range
from .kernels import Pairwise, as_numpy

if TYPE_CHECKING:
    from .densecrf import DenseCRF


@torch.inference_mode()
def run_on_device(
    models: "Sequence[DenseCRF]", pictures: Sequence[Tensor], images: Sequence[Any], *, logits: bool
) -> list[list[Tensor]]:
    """Per picture, per model the answer on the device of the pictures; see `run` in `densecrf`."""
    labels, shapes = len(pictures[0]), [tuple(one.shape[1:]) for one in pictures]
    if any(
        len(one) != labels or len(shape) != models[0].dimensions for one, shape in zip(pictures, shapes, strict=True)
    ):
        raise CRFError(f"all pictures must be ({labels}, ...) with {models[0].dimensions} further axes; got {shapes}.")
    flat = torch.cat([one.flatten(1) for one in pictures], dim=1).T.float()  # (N, C)
    logarithms = _logarithms(flat, logits=logits)
    sizes = [int(np.prod(shape)) for shape in shapes]
    batch = Batch(tuple((1, size) for size in sizes), flat.device)
    highest = torch.stack([part.amax(0) for part in torch.split(logarithms.exp(), sizes)])  # (B, C)
    guides = [None if image is None else as_numpy(image) for image in images]
    filters: dict[Hashable, Filter] = {}
    found: list[list[Tensor]] = [[] for _ in pictures]
    for model in models:
        for term in model.terms:
            key = (term.key(), term.normalization)
            if key not in filters:
                filters[key] = _filter(term, shapes, guides, batch)
        kept = (highest >= model.label_floor) | (highest == highest.amax(1, keepdim=True))
        steps = [(filters[term.key(), term.normalization], _gains(term, labels, flat)) for term in model.terms]
        answer = _mean_field(logarithms.masked_fill(~kept[batch.image], -torch.inf), steps, model.iterations)
        for own, part, shape in zip(found, torch.split(answer, sizes), shapes, strict=True):
            own.append(part.T.reshape(labels, *shape))
    return found


def _logarithms(flat: Tensor, *, logits: bool) -> Tensor:
    """(N, C) logarithms of probabilities, clipped to 1e-8."""
    if logits:
        found = flat.log_softmax(1)
        if bool(found.isnan().any()):
            raise CRFError("logits must be finite; got NaN or infinity.")
        return found.clamp_min(float(np.log(SMALLEST)))
    check_range(*torch.stack(flat.aminmax()).tolist())
    return flat.clamp(SMALLEST, 1).log()


def _filter(term: Pairwise, shapes: Sequence[tuple[int, ...]], guides: Sequence[Any], batch: Batch) -> Filter:
    features = [term.features(shape, guide) for shape, guide in zip(shapes, guides, strict=True)]
    joined = torch.from_numpy(np.concatenate(features, axis=1)).to(batch.device)
    return build(joined, batch, term.normalization, any_size=True)


def _gains(term: Pairwise, labels: int, like: Tensor) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(term.gains(labels))).to(like.device)


def _mean_field(logarithms: Tensor, terms: Sequence[tuple[Filter, Tensor]], iterations: int) -> Tensor:
    """Q = softmax(-U + sum of gains K Q), (N, C); labels whose logarithm is minus infinity stay at 0."""
    q = logarithms.softmax(1)
    for _ in range(iterations if terms else 0):
        x = logarithms
        for kernel, gains in terms:
            received = kernel(q)
            x = x + (received @ gains.T if gains.ndim == 2 else received * gains)
        q = x.softmax(1)
    return q
