"""DeepLabV3 and DeepLabV3+: heads on a backbone. Both return logits at the head's own resolution."""

from abc import ABC, abstractmethod
from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.segmentation.deeplabv3 import ASPP, DeepLabHead

from src.models.backbones import Backbone
from src.models.tables import HEADS

WIDTH = 256  # channels of the ASPP and of the decoder
LOW_CHANNELS = 48  # Chen et al. 2018, table 1


class DeepLab(nn.Module, ABC):
    """A backbone and a classifier on its features.

    Attributes:
        backbone: image to features.
        classifier: features to logits.
        num_classes: C.
        adopts: what `adopt_head` fills, as text for messages.
    """

    adopts: ClassVar[str]
    classifier: nn.Module

    def __init__(self, backbone: Backbone, classifier: nn.Module, num_classes: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.classifier = classifier
        self.num_classes = num_classes

    @abstractmethod
    def adopt_head(self, head: dict[str, Tensor]) -> dict[str, Tensor]:
        """The state of the classifier with which this network predicts the same as a trained DeepLabV3 head.

        Args:
            head: state of torchvision's DeepLabHead; without `4.weight` and `4.bias` if it has other classes.

        Returns:
            Part of `classifier.state_dict()`; parameters that are not in it stay new.
        """


@HEADS.add("deeplabv3")
class DeepLabV3(DeepLab):
    """torchvision's DeepLabV3 (Chen et al. 2017, arXiv:1706.05587), with its parameter names, no auxiliary head."""

    adopts = "head"

    def __init__(self, backbone: Backbone, num_classes: int) -> None:
        super().__init__(backbone, _head(backbone, num_classes), num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) float, normalised, to logits (B, C, H/OS, W/OS), sizes rounded up."""
        return cast(Tensor, self.classifier(self.backbone(images)["out"]))

    def adopt_head(self, head: dict[str, Tensor]) -> dict[str, Tensor]:
        """See `DeepLab.adopt_head`; here the head is the same."""
        return dict(head)


@HEADS.add("deeplabv3plus")
class DeepLabV3Plus(DeepLab):
    """DeepLabV3+ (Chen et al. 2018, arXiv:1802.02611): DeepLabV3's ASPP and a decoder."""

    adopts = "head (the decoder starts as an identity after it)"
    classifier: "Decoder"

    def __init__(self, backbone: Backbone, num_classes: int) -> None:
        super().__init__(backbone, Decoder(backbone, num_classes), num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) float, normalised, to logits (B, C, H/4, W/4), sizes rounded up."""
        features = self.backbone(images)
        logits = cast(Tensor, self.classifier(features["low"], features["out"]))
        height, width = images.shape[-2:]
        return logits[..., : (height + 3) // 4, : (width + 3) // 4]  # some of timm's networks see a border around it

    def adopt_head(self, head: dict[str, Tensor]) -> dict[str, Tensor]:
        """See `DeepLab.adopt_head`."""
        return self.classifier.adopt_head(head)


class Decoder(nn.Module):
    """Context at the output stride joined with low-level features at stride 4 (Chen et al. 2018, sec. 3.1).

    The context is the ASPP's output. If the backbone's weights include a trained DeepLabV3 head, the context comes from
    that head's ASPP and 3x3 convolution, and the decoder can start as an identity behind them.
    """

    def __init__(self, backbone: Backbone, num_classes: int) -> None:
        super().__init__()
        head = _head(backbone, num_classes)  # ASPP, conv, norm, ReLU, last
        self.context = nn.Sequential(*list(head)[: 4 if backbone.has_trained_head else 1])
        self.project_low = ConvNormReLU(backbone.low_channels, LOW_CHANNELS, kernel_size=1)
        self.fuse = ConvNormReLU(WIDTH + LOW_CHANNELS, WIDTH, kernel_size=3)
        self.refine = ConvNormReLU(WIDTH, WIDTH, kernel_size=3)
        self.last = nn.Conv2d(WIDTH, num_classes, 1)

    def forward(self, low: Tensor, out: Tensor) -> Tensor:
        """(B, c, h, w) at stride 4 and (B, C, h', w') at the output stride to logits (B, classes, h, w)."""
        context = resize_logits(self.context(out), (low.shape[-2], low.shape[-1]))
        fused = self.fuse(torch.cat([context, self.project_low(low)], dim=1))
        return cast(Tensor, self.last(self.refine(fused)))

    def adopt_head(self, head: dict[str, Tensor]) -> dict[str, Tensor]:
        """See `DeepLab.adopt_head`: both decoder convolutions start as the identity on the context, 0 on the rest."""
        state = {f"context.{key}": value for key, value in head.items() if not key.startswith("4.")}
        state |= {f"last.{key[2:]}": value for key, value in head.items() if key.startswith("4.")}
        mean, var = rectified_gaussian(mean=head["2.bias"], std=head["2.weight"].abs())
        for name, block in (("fuse", self.fuse), ("refine", self.refine)):
            state |= {f"{name}.{key}": value for key, value in block.identity(mean=mean, var=var).items()}
        return state


def _head(backbone: Backbone, num_classes: int) -> DeepLabHead:
    """Torchvision's head, but its ASPP pooling keeps the memory layout of its input."""
    head = DeepLabHead(backbone.out_channels, num_classes, backbone.atrous_rates)
    pooling = cast(nn.Sequential, cast(ASPP, head[0]).convs[-1])
    pooling[0] = ImageMean()
    return head


class ImageMean(nn.Module):
    """`AdaptiveAvgPool2d(1)` whose gradient has the memory layout of its input.

    The gradient of torch's own is contiguous. With channels-last features, the sum of the branches' gradients would
    take this layout, and adding the other gradients would take several times as long.
    """

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, 1, 1)."""
        if features.is_contiguous(memory_format=torch.channels_last):
            return features.permute(0, 2, 3, 1).mean((1, 2))[..., None, None]
        return F.adaptive_avg_pool2d(features, 1)


class ConvNormReLU(nn.Sequential):
    """Convolution without bias, BatchNorm, ReLU; keeps the size."""

    def __init__(self, in_channels: int, out_channels: int, *, kernel_size: int) -> None:
        conv = nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2, bias=False)
        super().__init__(conv, nn.BatchNorm2d(out_channels), nn.ReLU())

    def identity(self, *, mean: Tensor, var: Tensor) -> dict[str, Tensor]:
        """The state in which the block passes on its first input channels, if they are >= 0, and ignores the others.

        Exact in evaluation. In training, BatchNorm uses the statistics of the batch, so the block is an identity
        only as far as these equal `mean` and `var`. With 0 and 1 it would standardise its input.

        Args:
            mean: (out_channels,) of the input.
            var: (out_channels,) of the input, >= 0.
        """
        conv, norm = cast(nn.Conv2d, self[0]), cast(nn.BatchNorm2d, self[1])
        centre = nn.init.dirac_(torch.empty_like(conv.weight))
        scale = (var + norm.eps).sqrt()
        return {"0.weight": centre, "1.weight": scale, "1.bias": mean, "1.running_mean": mean, "1.running_var": var}


def rectified_gaussian(*, mean: Tensor, std: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of max(0, x) for normal x: a channel after BatchNorm (bias = mean, weight = std) and ReLU.

    Args:
        mean: any shape, float.
        std: the same shape, >= 0.
    """
    std = std.clamp_min(1e-12)  # a dead channel has 0
    z = mean / std
    cdf = torch.special.ndtr(z)
    pdf = torch.exp(-0.5 * z**2) / (2 * torch.pi) ** 0.5
    first = mean * cdf + std * pdf
    second = (mean**2 + std**2) * cdf + mean * std * pdf
    return first, (second - first**2).clamp_min(0)


def resize_logits(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, C, h, w) to (B, C, *size), bilinear, pixel areas aligned."""
    return F.interpolate(logits, size, mode="bilinear", align_corners=False)
