"""Images of any sizes as one list of points, image after image."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

Sizes = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Batch:
    """The images of a batch: their sizes (H, W), and where they are."""

    sizes: Sizes
    device: torch.device

    @property
    def points(self) -> list[int]:
        """Number of points of each image."""
        return [height * width for height, width in self.sizes]

    @cached_property
    def image(self) -> Tensor:
        """(N,) int64: the image that each point belongs to."""
        counts = torch.tensor(self.points, device=self.device)
        return torch.arange(len(counts), device=self.device).repeat_interleave(counts, output_size=sum(self.points))

    @cached_property
    def starts(self) -> Tensor:
        """(B + 1,) int64: the first point of each image, then N."""
        return torch.tensor([0, *self.points], device=self.device).cumsum(0)
