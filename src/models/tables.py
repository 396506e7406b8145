"""The backbones, heads and losses that a config can name; each adds itself in its own module. No torch."""

from typing import Any

from src.core.names import Table

BACKBONES: Table[Any] = Table("backbone.kind", "src.models.backbones", "src.models.sources.timm")
"""Functions of `output_stride` and the options in `conf/backbone` that make a `Backbone`."""

HEADS: Table[Any] = Table("head.name", "src.models.deeplab", "src.models.sources.smp")
"""Functions or classes of `backbone` and `num_classes` that make a `DeepLab`."""

LOSSES: Table[Any] = Table("loss.name", "src.models.losses")
"""Classes of the options in `conf/loss`: from logits (B, C, H, W), target (B, H, W) to `{"loss": scalar, ...}`."""

ARCHS = {
    **dict.fromkeys(("Unet", "UnetPlusPlus", "MAnet", "Linknet", "FPN"), (32,)),
    **dict.fromkeys(("UPerNet", "Segformer"), (8, 16, 32)),
    **dict.fromkeys(("DeepLabV3", "DeepLabV3Plus"), (8, 16)),
    "PAN": (16, 32),
    "PSPNet": (8,),
}
"""Networks of segmentation_models.pytorch, each with the output strides of the encoder that it takes."""

_ONE, _TWO = ("IMAGENET1K_V1",), ("IMAGENET1K_V1", "IMAGENET1K_V2")
_COCO = ("COCO_WITH_VOC_LABELS_V1",)

NETWORKS: dict[str, dict[str, tuple[str, ...]]] = {
    "resnet": {
        "resnet18": _ONE,
        "resnet34": _ONE,
        "resnet50": _TWO,
        "resnet101": _TWO,
        "resnet152": _TWO,
        "resnext50_32x4d": _TWO,
        "resnext101_32x8d": _TWO,
        "resnext101_64x4d": _ONE,
        "wide_resnet50_2": _TWO,
        "wide_resnet101_2": _TWO,
        "deeplabv3_resnet50": _COCO,
        "deeplabv3_resnet101": _COCO,
    },
    "mobilenet_v3": {"mobilenet_v3_large": _TWO, "deeplabv3_mobilenet_v3_large": _COCO},
}
"""Per kind of the tree: torchvision's names of networks, each with the names of its weights."""
