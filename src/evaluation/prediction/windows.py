"""Images that are too large for memory: windows with blended edges, one stripe of the image after the other."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from src.core.machine import free_memory
from src.data.classes import Pixels
from src.evaluation.prediction.predictor import Prediction, Predictor
from src.models.inference import starts

LARGEST, SMALLEST = 1024, 256  # px, side of a window that is chosen here
OVERLAP = 1 / 4  # of a window: there, the next one takes over bit by bit
_PER_PIXEL, _PER_CLASS = 1200, 24  # bytes; in all, ResNet-101 at stride 8 and 21 classes took 1200, and a CRF 500 more


@dataclass(frozen=True)
class Stripe:
    """A part of an image over its whole height or width; the parts come in order and do not overlap.

    Attributes:
        place: index of its pixels in an array (H, W).
        prediction: labels (h, w) and probabilities (C, h, w), on the CPU.
    """

    place: tuple[slice, slice]
    prediction: Prediction


def window_for(predictor: Predictor, size: tuple[int, int], wanted: int | str | None) -> int | None:
    """Side of the windows that an image needs; None: it is taken whole.

    Args:
        predictor: says how many classes there are, and where the network runs.
        size: height and width of the image.
        wanted: a side in px, for images that are larger; None: never; "auto": if the image may not fit into memory.
    """
    if wanted is None or predictor.protocol != "voc":  # other protocols make every image small
        return None
    if isinstance(wanted, int):
        return wanted if max(size) > wanted else None
    free = free_memory()
    if (device := next(predictor.task.parameters()).device).type == "cuda":
        free = min(free, torch.cuda.mem_get_info(device)[0])
    classes = len(predictor.classes)
    scale = max((1.0, *(scale for looks in predictor.labeller.inferences for scale in looks.scales)))
    each = (_PER_PIXEL + _PER_CLASS * classes) * scale**2
    if size[0] * size[1] * each < free / 2:
        return None
    side = LARGEST
    while side > SMALLEST and side * side * each + 12 * classes * side * min(size) > free / 2:
        side //= 2
    return side


def windows_note(side: int) -> str:
    """What is said of an image that was labelled in windows."""
    return f"labelled in windows of {side} px with blended edges"


def in_windows(predictor: Predictor, rgb: Pixels, variant: str, side: int) -> Iterator[Stripe]:
    """Label an image (H, W, 3) in windows of `side` px.

    Each window goes the whole way from pixels to probabilities, with its own CRF. Where windows overlap, their
    probabilities are averaged, with weights that fall to the window's edge. Never more than a few stripes, `side` px
    wide and as long as the image's shorter side, are in memory.
    """
    height, width = rgb.shape[:2]
    along = 0 if height >= width else 1  # the axis along which stripes follow each other

    def probs_of(first: int, second: int) -> Tensor:
        top, left = (first, second) if along == 0 else (second, first)
        found = predictor(rgb[top : top + side, left : left + side])[variant].probs.cpu()
        return found if along == 0 else found.transpose(1, 2)

    def stripe_at(first: int) -> Tensor:
        """Probabilities (C, n, shorter side) of the stripe that begins here."""
        parts = (probs_of(first, second).transpose(1, 2) for second in starts(min(height, width), side, OVERLAP))
        blend = _joined(parts, [*starts(min(height, width), side, OVERLAP)])
        return torch.cat([*blend], 1).transpose(1, 2)

    places = [*starts(max(height, width), side, OVERLAP)]
    begin = 0
    for probs in _joined(map(stripe_at, places), places):
        end = begin + probs.shape[1]
        place = (slice(begin, end), slice(None))
        probs = probs if along == 0 else probs.transpose(1, 2)
        yield Stripe(place if along == 0 else place[::-1], Prediction(probs.max(0).indices, probs))
        begin = end


def _joined(parts: Iterator[Tensor], places: list[int]) -> Iterator[Tensor]:
    """Overlapping parts (C, n, m) as parts that do not overlap, joined along n; each is given out once it is final.

    Args:
        parts: in order.
        places: where each begins.
    """
    total: Tensor | None = None
    for i, part in enumerate(parts):
        length = part.shape[1]
        ramp = (torch.arange(length) + 1.0).minimum(length - torch.arange(length)).clamp_max(max(1.0, OVERLAP * length))
        weight = ramp[:, None]
        if total is None:
            total, weights = part * weight, weight
        else:
            kept = total.shape[1]
            room = length - kept
            total = torch.cat([total, total.new_zeros(len(part), room, part.shape[2])], 1).add_(part * weight)
            weights = torch.cat([weights, torch.zeros(room, 1)]) + weight
        final = places[i + 1] - places[i] if i + 1 < len(places) else length
        yield total[:, :final] / weights[:final]
        total, weights = total[:, final:], weights[final:]
