"""Whole networks of segmentation_models.pytorch on timm's encoders.

`pip install segmentation_models_pytorch` is needed only where a config names one. Only the decoder and the last layer
are smp's: the encoder is the backbone, so its weights, statistics and names are the same as with any other head.
"""

import inspect
from typing import Any, cast

from torch import Tensor, nn

from src.core.errors import InputError
from src.models.backbones import Backbone
from src.models.deeplab import DeepLab
from src.models.sources.timm import TimmBackbone, fill_up
from src.models.tables import HEADS

_DEPTH = 5  # features, from stride 2 on; one more for the image itself
_OURS = "seglab"  # name of the encoder that stands for our backbone while smp makes a decoder


@HEADS.add("smp")
class SmpNetwork(DeepLab):
    """A network of smp (Iakubovskii 2019), whose decoder sees the features of all strides.

    Args:
        backbone: one of timm's.
        num_classes: C.
        arch: smp's name, such as Unet, FPN or Segformer.

    Raises:
        InputError: smp is missing, or refuses this network, backbone or output stride.
    """

    adopts = "nothing"

    def __init__(self, backbone: Backbone, num_classes: int, arch: str) -> None:
        if not isinstance(backbone, TimmBackbone):
            raise InputError(f"head.name=smp: needs backbone=timm, because {backbone.model} gives two features only.")
        levels = _levels(backbone)
        channels = [3, *(0 if place is None else backbone.channels[place] for place in levels)]
        made = _made(arch, channels, num_classes, backbone.output_stride)
        parts = {"decoder": made.decoder, "last": made.segmentation_head}
        super().__init__(backbone, nn.ModuleDict(parts), num_classes)
        self._levels = levels

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) float, normalised, to logits (B, C, H, W)."""
        height, width = images.shape[-2:]
        backbone, parts = cast(TimmBackbone, self.backbone), cast(nn.ModuleDict, self.classifier)
        whole = fill_up(images, backbone.output_stride)  # decoders double sizes
        found = backbone.features(whole)
        none = whole.new_empty(len(whole), 0, whole.shape[-2] // 2, whole.shape[-1] // 2)
        pyramid = [whole, *(none if place is None else found[place] for place in self._levels)]
        logits = cast(Tensor, parts["last"](parts["decoder"](pyramid)))
        return logits[..., :height, :width]

    def adopt_head(self, head: dict[str, Tensor]) -> dict[str, Tensor]:
        """See `DeepLab.adopt_head`: timm's weights have no such head."""
        return {}


def _levels(backbone: TimmBackbone) -> list[int | None]:
    """Places of the features that smp's decoders expect; None for the one at stride 2 that some networks lack."""
    places: list[int | None] = [place for place, stride in enumerate(backbone.strides) if stride > 1]
    if len(places) == _DEPTH - 1 and backbone.strides[cast(int, places[0])] == 4:
        places = [None, *places]
    if len(places) != _DEPTH:
        strides = ", ".join(map(str, backbone.strides))
        raise InputError(f"backbone.model={backbone.model}: has features of the strides {strides}; smp needs five.")
    return places


class _Channels(nn.Module):
    """Takes the place of an encoder of smp's while a decoder is made: only its numbers of channels are asked for."""

    def __init__(self, out_channels: list[int], depth: int, output_stride: int) -> None:
        super().__init__()
        self.out_channels, self.output_stride = out_channels[: depth + 1], output_stride

    def set_in_channels(self, *_: Any, **__: Any) -> None:
        """Nothing: the backbone takes colour images."""

    def make_dilated(self, *_: Any, **__: Any) -> None:
        """Nothing: the backbone is dilated."""


def _made(arch: str, channels: list[int], num_classes: int, output_stride: int) -> Any:
    """Smp's network without its encoder."""
    try:
        import segmentation_models_pytorch as smp
        from segmentation_models_pytorch.encoders import encoders
    except ImportError as error:
        raise InputError(
            f"head.name=smp: is not installed ({error}); `pip install segmentation_models_pytorch` installs it."
        ) from error
    kind = getattr(smp, arch)
    takes = inspect.signature(kind).parameters
    dilated = {"encoder_output_stride": output_stride} if "encoder_output_stride" in takes else {}
    encoders[_OURS] = {"encoder": _Channels, "params": {"out_channels": channels}, "pretrained_settings": {}}
    try:
        return kind(_OURS, encoder_depth=_DEPTH, encoder_weights=None, classes=num_classes, **dilated)
    except ValueError as error:
        raise InputError(f"head.arch={arch}: smp refuses head.output_stride={output_stride} ({error}).") from error
    finally:
        del encoders[_OURS]
