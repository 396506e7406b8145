"""Feature extractors: torchvision's networks with outputs at two strides, and strides turned into dilations.

A new backbone needs a function here and a file in `conf/backbone`; another ResNet needs only the file.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torchvision.models import get_model, list_models
from torchvision.models._utils import IntermediateLayerGetter

from src.core.errors import InputError
from src.models.tables import BACKBONES

HEAD_PREFIX = "deeplabv3_"
OUTPUT_STRIDES = (8, 16)
ASPP_RATES = (12, 24, 36)  # torchvision's, at the native output stride
Channels = tuple[float, float, float]  # red, green, blue; 1 is white
MEAN: Channels = (0.485, 0.456, 0.406)  # ImageNet's, with which torchvision trained its weights
STD: Channels = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Found:
    """Weights for a backbone, found by `Backbone.find`.

    Attributes:
        state: part of the backbone's `state_dict()`; what is not in it stays new.
        source: what it is, where it comes from, and its licence, for messages.
        left_out: modules in the source that the backbone has no use for.
        mean: of the images that these weights want, per channel.
        std: their standard deviation.
    """

    state: dict[str, Tensor]
    source: str
    left_out: list[str]
    mean: Channels
    std: Channels


class Backbone(IntermediateLayerGetter):  # type: ignore[misc]  # torchvision has no types
    """Maps an image (B, 3, H, W) to `{"low": (B, c, H/4, W/4), "out": (B, C, H/OS, W/OS)}`, sizes rounded up.

    The children keep torchvision's names, so its state dicts load unchanged.

    Attributes:
        model: the library's name of the network whose weights fit: `resnet50`, or torchvision's `deeplabv3_resnet101`
            if the weights include a trained DeepLabV3 head.
        low_channels: c.
        out_channels: C.
        output_stride: OS: 8, 16, or, if the network can, 32.
        mean: of the images that the network wants, per channel: it belongs to the weights.
        std: their standard deviation.
        atrous_rates: dilations of the ASPP branches on `out`, in pixels of `out`: 12, 24, 36 at the native output
            stride, half of that at twice the stride. So their reach in image pixels stays the same.
    """

    def __init__(
        self,
        body: nn.Module,
        *,
        model: str,
        low: str,
        out: str,
        low_channels: int,
        out_channels: int,
        output_stride: int,
        native_output_stride: int,
        mean: Channels = MEAN,
        std: Channels = STD,
    ) -> None:
        super().__init__(body, {low: "low", out: "out"})
        self.model = model
        self.low_channels = low_channels
        self.out_channels = out_channels
        self.output_stride = output_stride
        self.mean, self.std = mean, std
        self.atrous_rates = tuple(rate * native_output_stride // output_stride for rate in ASPP_RATES)

    @property
    def has_trained_head(self) -> bool:
        """Whether the fitting weights include a DeepLabV3 head. Depends only on the config, not on what is loaded."""
        return self.model.startswith(HEAD_PREFIX)

    def find(self, weights: str) -> Found | None:
        """The weights that a config names, of networks that are not torchvision's; None: look among torchvision's."""
        return None


@BACKBONES.add("resnet")
def resnet(model: str, *, output_stride: int, native_output_stride: int) -> Backbone:
    """ResNet of any depth (He et al. 2016, arXiv:1512.03385), without weights.

    Args:
        model: torchvision's name: `resnet18`, `resnet50`, ..., or `deeplabv3_resnet101` (see `Backbone.model`).
        output_stride: 8 or 16.
        native_output_stride: output stride at which the ASPP rates are 12, 24, 36.

    Raises:
        InputError: the network or the output stride is unknown.
    """
    body = _body(model, output_stride)
    remove_strides([body.layer3, body.layer4] if output_stride == 8 else [body.layer4])
    return Backbone(
        body,
        model=model,
        low="layer1",
        out="layer4",
        low_channels=body.fc.in_features // 8,  # the width doubles in each of the three stages from layer1 to layer4
        out_channels=body.fc.in_features,
        output_stride=output_stride,
        native_output_stride=native_output_stride,
    )


@BACKBONES.add("mobilenet_v3")
def mobilenet_v3_large(model: str, *, output_stride: int, native_output_stride: int) -> Backbone:
    """MobileNetV3-Large (Howard et al. 2019, arXiv:1905.02244), dilated as torchvision trained it at stride 16.

    Args:
        model: `mobilenet_v3_large` or `deeplabv3_mobilenet_v3_large` (see `Backbone.model`).
        output_stride: 8 or 16.
        native_output_stride: output stride at which the ASPP rates are 12, 24, 36.

    Raises:
        InputError: the network or the output stride is unknown.
    """
    features = _body(model, output_stride, dilated=True).features
    if output_stride == 8:
        remove_strides(features[7:])  # block 7 goes from stride 8 to 16; torchvision has dilated blocks 13 and up
    return Backbone(
        features,
        model=model,
        low="3",  # the last block at stride 4
        out="16",
        low_channels=features[3].out_channels,
        out_channels=features[16].out_channels,
        output_stride=output_stride,
        native_output_stride=native_output_stride,
    )


def remove_strides(stages: Iterable[nn.Module]) -> None:
    """Turns each stride in `stages` into a dilation of all later layers (Chen et al. 2017, arXiv:1706.05587, sec. 3.1).

    The features at every `stride`-th pixel do not change. It also works on torchvision's BasicBlock, whose constructor
    refuses dilations.

    Args:
        stages: modules in the order of their use, changed in place.
    """
    factor = 1
    convs = (module for stage in stages for module in stage.modules() if isinstance(module, nn.Conv2d))
    for conv in convs:
        stride = conv.stride[0]
        conv.stride = (1, 1)
        if conv.kernel_size[0] == 1:  # on a shortcut, which is parallel to the strided 3x3, not after it
            continue
        dilation = conv.dilation[0] * factor
        conv.dilation = (dilation, dilation)
        conv.padding = (conv.kernel_size[0] // 2 * dilation, conv.kernel_size[1] // 2 * dilation)
        factor *= stride


def _body(model: str, output_stride: int, **options: bool) -> Any:
    name = model.removeprefix(HEAD_PREFIX)
    if name not in list_models():
        raise InputError(f"backbone.model={model}: torchvision has no network with this name")
    if output_stride not in OUTPUT_STRIDES:
        raise InputError(f"head.output_stride={output_stride}: choose one of {OUTPUT_STRIDES}")
    return get_model(name, weights=None, **options)
