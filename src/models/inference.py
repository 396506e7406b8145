"""From an image to class probabilities: in one pass, at several scales, mirrored, or in windows."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from src.models.deeplab import resize_logits

Network = Callable[[Tensor], Tensor]  # (1, 3, H, W) float32 normalised -> logits (1, C, h, w) at its own resolution


@dataclass(frozen=True)
class Inference:
    """How the network looks at an image; the probabilities of all looks are averaged.

    Attributes:
        scales: factors of the image's size (Chen et al. 2018, sec. 4.2: 0.5, 0.75, 1, 1.25, 1.5, 1.75).
        flip: also look at the mirrored image.
        window: side in px of square windows that cut the (scaled) image; None: the whole image at once.
        overlap: share of a window that overlaps the next one.
    """

    scales: tuple[float, ...] = (1.0,)
    flip: bool = False
    window: int | None = None
    overlap: float = 1 / 3


PLAIN = Inference()  # the whole image, once


@torch.no_grad()
def probabilities(network: Network, image: Tensor, inference: Inference) -> Tensor:
    """Probabilities (C, H, W) float32, sum 1 over C, of an image (1, 3, H, W) float32, normalised."""
    size = (image.shape[-2], image.shape[-1])
    total: Tensor | None = None
    count = 0
    for found in _looks(network, image, inference, size):
        total, count = found if total is None else total.add_(found), count + 1
    assert total is not None
    return total.div_(count) if count > 1 else total


def mapped(probs: Tensor, mapping: Sequence[int | None], num_classes: int) -> Tensor:
    """Probabilities of other classes: those of classes that become one are added.

    Args:
        probs: (C, H, W) float32, sum 1 over C.
        mapping: for each of the C classes its new label; None: it is left out, and the others are scaled to sum 1.
        num_classes: K, the number of new classes.

    Returns:
        (K, H, W) float32, sum 1 over K.
    """
    kept = [k for k, label in enumerate(mapping) if label is not None]
    places = torch.tensor([mapping[k] for k in kept], device=probs.device)
    found = probs.new_zeros(num_classes, *probs.shape[1:]).index_add_(0, places, probs[kept])
    return found if len(kept) == len(mapping) else found / found.sum(0).clamp_min(1e-30)


def _looks(network: Network, image: Tensor, inference: Inference, size: tuple[int, int]) -> Iterator[Tensor]:
    for scale in inference.scales:
        scaled = image if scale == 1 else _scaled(image, scale)
        yield _one_look(network, scaled, inference, size)
        if inference.flip:
            yield _one_look(network, scaled.flip(-1), inference, size).flip(-1)


def _scaled(image: Tensor, scale: float) -> Tensor:
    size = [max(1, round(side * scale)) for side in image.shape[-2:]]
    return interpolate(image, size, mode="bilinear", antialias=scale < 1, align_corners=False)


def _one_look(network: Network, image: Tensor, inference: Inference, size: tuple[int, int]) -> Tensor:
    """Probabilities (C, *size) of an image (1, 3, h, w)."""
    if inference.window is None:
        return resize_logits(network(image).float(), size)[0].softmax(0)
    height, width = image.shape[-2:]
    total: Tensor | None = None
    seen = image.new_zeros(height, width)
    for top in starts(height, inference.window, inference.overlap):
        for left in starts(width, inference.window, inference.overlap):
            here = (..., slice(top, top + inference.window), slice(left, left + inference.window))
            part = image[here]
            probs = resize_logits(network(part).float(), (part.shape[-2], part.shape[-1]))[0].softmax(0)
            total = probs.new_zeros(len(probs), height, width) if total is None else total
            total[here] += probs
            seen[here] += 1
    assert total is not None
    probs = total / seen
    return probs if (height, width) == size else resize_logits(probs[None], size)[0]


def starts(length: int, window: int, overlap: float) -> Iterator[int]:
    """First pixels of the windows: evenly spread from end to end, overlapping by at least `overlap`."""
    count = 1 + math.ceil(max(0, length - window) / max(1, int(window * (1 - overlap))))
    for i in range(count):
        yield round(i * max(0, length - window) / max(1, count - 1))
