"""Ways to turn the probabilities of an image into labels.

A variant is (inference, CRF parameters, guidance, fusion rule). Each part may be left out: `none` is the network's own
labels from one pass.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from src.crf.model import DenseCRF
from src.models.inference import PLAIN, Inference
from src.scoring.fusion import most_probable

Fusion = Callable[[Tensor, Tensor], Tensor]  # probabilities before and after (C, H, W) -> labels (H, W)


@dataclass(frozen=True)
class Variant:
    """A way to make labels: without a CRF, the network's own; without a fusion rule, the CRF's own."""

    crf: DenseCRF | None = None
    fusion: Fusion | None = None
    inference: Inference = PLAIN

    def labels(self, probs: Tensor, after: Tensor | None) -> Tensor:
        """Labels (H, W) int64 from probabilities (C, H, W) before and after the CRF."""
        if after is None:
            return most_probable(probs)
        return most_probable(after) if self.fusion is None else self.fusion(probs, after)

    def probabilities(self, probs: Tensor, after: Tensor | None, labels: Tensor) -> Tensor:
        """Class probabilities (C, H, W) that go with the labels: the network's, or the CRF's.

        A fusion rule gives labels alone. Each of its pixels gets the probabilities of the side whose most probable
        class is the label; if both sides or none of them agree with it, of the side that gives the label more.

        Args:
            probs: (C, H, W) before the CRF.
            after: (C, H, W) after the CRF; None without a CRF.
            labels: (H, W) int64, what `labels` has made of them.
        """
        if after is None or self.fusion is None:
            return probs if after is None else after
        agrees, agrees_after = most_probable(probs) == labels, most_probable(after) == labels
        gives_more = after.gather(0, labels[None])[0] > probs.gather(0, labels[None])[0]
        return after.where(agrees_after & ~agrees | (agrees_after == agrees) & gives_more, probs)
