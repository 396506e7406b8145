"""What a config can name of this room: backbones, heads and losses; each adds itself where it is written. No torch."""

from typing import Any

from src.core.names import Table

BACKBONES: Table[Any] = Table("backbone.kind", "src.models.backbones")
"""Made of `output_stride` and the options in `conf/backbone`: a `Backbone`."""

HEADS: Table[Any] = Table("head.name", "src.models.deeplab")
"""Made of `backbone` and `num_classes`: a `DeepLab`."""

LOSSES: Table[Any] = Table("loss.name", "src.models.losses")
"""Made of the options in `conf/loss`: from logits (B, C, H, W) and target (B, H, W) to `{"loss": scalar, ...}`."""
