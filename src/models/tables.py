"""The backbones, heads and losses that a config can name; each adds itself in its own module. No torch."""

from typing import Any

from src.core.names import Table

BACKBONES: Table[Any] = Table("backbone.kind", "src.models.backbones")
"""Functions of `output_stride` and the options in `conf/backbone` that make a `Backbone`."""

HEADS: Table[Any] = Table("head.name", "src.models.deeplab")
"""Functions or classes of `backbone` and `num_classes` that make a `DeepLab`."""

LOSSES: Table[Any] = Table("loss.name", "src.models.losses")
"""Classes of the options in `conf/loss`: from logits (B, C, H, W), target (B, H, W) to `{"loss": scalar, ...}`."""
