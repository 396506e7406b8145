"""Features of all points of a batch, made on its device from small tables: the same bits as `model`'s."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..model import Image, colour_table
from .batch import Batch


def positions(batch: Batch, sigma: float) -> Tensor:
    """(2, N) float32: x and y of each point in units of `sigma` px, see `model.positions`."""
    longest = max(max(size) for size in batch.sizes)
    table = torch.from_numpy(np.arange(longest, dtype=np.float32) / np.float32(sigma)).to(batch.device)
    x = torch.cat([table[:width].expand(height, width).reshape(-1) for height, width in batch.sizes])
    y = torch.cat([table[:height, None].expand(height, width).reshape(-1) for height, width in batch.sizes])
    return torch.stack([x, y])


def bilateral(batch: Batch, rgb: Sequence[Image], guidance: str, sigma_xy: float, sigma_rgb: float) -> Tensor:
    """(5, N) float32: x, y and the colours in units of their standard deviations, see `model.bilateral_features`."""
    table = torch.from_numpy(colour_table(guidance, sigma_rgb)).to(batch.device)
    sent = torch.from_numpy(np.concatenate([image.reshape(-1, 3) for image in rgb])).to(batch.device)
    colours = [values.index_select(0, column.int()) for values, column in zip(table, sent.unbind(1), strict=True)]
    return torch.cat([positions(batch, sigma_xy), torch.stack(colours)])
