"""What a config can name of this room: backbones, heads and losses; each adds itself where it is written. No torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from src.core.names import Table

if TYPE_CHECKING:
    from torch import nn

    from src.models.backbones import Backbone
    from src.models.deeplab import DeepLab

BACKBONES: Table[Backbone] = Table("backbone.kind", "src.models.backbones")
"""Made of `output_stride` and the options in `conf/backbone`."""

HEADS: Table[DeepLab] = Table("head.name", "src.models.deeplab")
"""Made of `backbone` and `num_classes`."""

LOSSES: Table[nn.Module] = Table("loss.name", "src.models.losses")
"""Made of the options in `conf/loss`: from logits (B, C, H, W) and target (B, H, W) to `{"loss": scalar, ...}`."""
