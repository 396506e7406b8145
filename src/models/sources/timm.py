"""timm's networks as backbones: any that gives features at the output stride, and at stride 4.

`pip install timm` is needed only where a config names one. Weights are in `src.models.sources.timm_weights`.
"""

import difflib
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from src.core.errors import InputError
from src.models.backbones import Backbone, Found
from src.models.sources.timm_weights import find, rgb
from src.models.tables import BACKBONES

NEAR = 3  # names that an error message proposes
_TRIED = 40  # near names that are looked at for it; each takes about 0.2 s
_ODD = (97, 65)  # one more than a multiple of any stride


class TimmBackbone(Backbone):
    """One of timm's networks, at "low" and "out" as in `Backbone`; its names are timm's of the features, after `timm.`.

    A network whose features do not round up by themselves, or that takes no odd sizes, sees the image with zeros (the
    mean colour) on the right and below, up to a multiple of the output stride; then both features are of that size.

    Attributes:
        channels: of all features, from fine to coarse.
        strides: of all features; they never fall.
        multiple: what the sizes of images are filled up to: 1 (no need), or the output stride.
    """

    def __init__(self, network: Any, *, model: str, output_stride: int, native_output_stride: int) -> None:
        info, config = network.feature_info, network.pretrained_cfg
        channels, strides = list(info.channels()), list(info.reduction())
        low = len(strides) - 1 - strides[::-1].index(4)  # the last one at stride 4
        super().__init__(
            nn.Sequential(OrderedDict(timm=network)),
            model=model,
            low="timm",
            out="timm",
            low_channels=channels[low],
            out_channels=channels[-1],
            output_stride=output_stride,
            native_output_stride=native_output_stride,
            mean=rgb(config["mean"]),
            std=rgb(config["std"]),
        )
        self.channels, self.strides, self._low = channels, strides, low
        self._channels_come_last = str(getattr(network, "output_fmt", "NCHW")).endswith("NHWC")
        self.multiple = 1

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """See `Backbone`."""
        found = self.features(images)
        return {"low": found[self._low], "out": found[-1]}

    def features(self, images: Tensor) -> list[Tensor]:
        """All features of (B, 3, H, W), each (B, `channels[i]`, H / `strides[i]`, W / `strides[i]`), rounded up."""
        found = self["timm"](fill_up(images, self.multiple))
        return [one.permute(0, 3, 1, 2) for one in found] if self._channels_come_last else list(found)

    def find(self, weights: str) -> Found:
        """See `src.models.sources.timm_weights.find`."""
        return find(self, weights)


def fill_up(images: Tensor, multiple: int) -> Tensor:
    """Images (B, C, H, W) with zeros on the right and below, so that height and width are multiples of a number."""
    if multiple == 1:
        return images
    height, width = images.shape[-2:]
    right, below = ((side + multiple - 1) // multiple * multiple - side for side in (width, height))
    if not torch.compiler.is_compiling() and right == below == 0:  # an exported network takes every size the same way
        return images
    return F.pad(images, (0, right, 0, below))


@BACKBONES.add("timm")
def timm_backbone(model: str, *, output_stride: int, native_output_stride: int) -> TimmBackbone:
    """A network of timm, without weights.

    Args:
        model: timm's name, with or without the name of weights: `tf_efficientnet_lite0`, `resnet18.a1_in1k`.
        output_stride: 8, 16, or 32, at which more networks can give features.
        native_output_stride: output stride at which the ASPP rates are 12, 24, 36.

    Raises:
        InputError: timm is missing, has no such network, or says that it cannot give such features.
    """
    name = check_name(model)
    try:
        backbone = _attempt(name, output_stride, native_output_stride)
    except _UnfitError as unfit:
        at = f"head.output_stride={output_stride}"
        whole = "" if output_stride == 32 or not _fits(name, 32) else "; head.output_stride=32 takes it as it is"
        raise InputError(
            f"backbone.model={model}: gives no features at {at}, says timm ({unfit}){whole}. Near names that do: "
            f"{', '.join(_near_that_fit(name, output_stride)) or 'none'}."
        ) from unfit
    return backbone


class _UnfitError(Exception):
    """A network cannot be a backbone; the text says why, in timm's words where it is timm that says so."""


def create(model: str, output_stride: int, **options: Any) -> Any:
    """The network with all its features, as timm makes it; raises what timm raises."""
    import timm

    strides = {} if output_stride == 32 else {"output_stride": output_stride}  # every one has 32; few take the word
    return timm.create_model(model, features_only=True, **{"pretrained": False, **strides, **options})


def check_name(model: str) -> str:
    """The name, if it is of one of timm's networks, and its weights, if it names any, are known."""
    try:
        import timm
        from timm.models import get_pretrained_cfg
    except ImportError as error:
        raise InputError(
            f"backbone.kind=timm: cannot be imported ({error}); `pip install timm` installs it."
        ) from error
    base = model.partition(".")[0]
    if not timm.is_model(base):
        near = difflib.get_close_matches(base, timm.list_models(), NEAR)
        raise InputError(f"backbone.model={model}: timm has no such network; near names: {', '.join(near) or 'none'}.")
    try:
        get_pretrained_cfg(model)
    except RuntimeError:
        offered = ", ".join(timm.list_pretrained(f"{base}.*")) or f"none; leave the weights out: {base}"
        raise InputError(f"backbone.model={model}: timm has no such weights; those of {base}: {offered}.") from None
    return model


def _attempt(model: str, output_stride: int, native_output_stride: int) -> TimmBackbone:
    """The backbone, or `_UnfitError`."""
    try:
        network = create(model, output_stride)
    except Exception as error:  # each family of networks refuses in its own way
        raise _UnfitError(str(error) or f"{type(error).__name__} at output_stride={output_stride}") from error
    strides = network.feature_info.reduction()
    if 4 not in strides or strides[-1] != output_stride:
        raise _UnfitError(f"its features have the strides {', '.join(map(str, strides))}")
    backbone = TimmBackbone(
        network, model=model, output_stride=output_stride, native_output_stride=native_output_stride
    )
    backbone.multiple = _multiple(backbone)
    return backbone


def _multiple(backbone: TimmBackbone) -> int:
    """What image sizes must be filled up to, found by trying; or `_UnfitError`."""
    image, reason = torch.zeros(1, 3, *_ODD, device=next(backbone.parameters()).device), ""
    backbone.eval()  # so that the statistics of BatchNorm stay as they are
    for multiple in (1, backbone.output_stride):
        backbone.multiple = multiple
        try:
            with torch.no_grad():
                found = backbone.features(image)
        except Exception as error:  # of sizes that are fixed, for example
            reason = str(error) or type(error).__name__
            continue
        filled = [-(-side // multiple) * multiple for side in _ODD]
        if all(
            tuple(one.shape[1:]) == (channels, *(-(-side // stride) for side in filled))
            for one, channels, stride in zip(found, backbone.channels, backbone.strides, strict=True)
        ):
            backbone.train()
            return multiple
        reason = f"an image of {filled[0]} x {filled[1]} px has features of {[tuple(one.shape[1:]) for one in found]}"
    raise _UnfitError(f"takes no images of any size: {reason}")


def _fits(model: str, output_stride: int) -> bool:
    try:
        with torch.device("meta"):  # shapes only
            _attempt(model, output_stride, 8)
    except _UnfitError:
        return False
    return True


def _near_that_fit(model: str, output_stride: int) -> list[str]:
    """The nearest names whose networks fit, of different families where they do."""
    return [name for name, _ in zip(_fitting(model.partition(".")[0], output_stride), range(NEAR), strict=False)]


def _fitting(model: str, output_stride: int) -> Iterator[str]:
    import timm
    from timm.models import model_entrypoint

    names = difflib.get_close_matches(model, timm.list_models(), 10_000, cutoff=0)
    families = {name: model_entrypoint(name).__module__ for name in names}
    seen = {families[model]}
    for _, name in zip(range(_TRIED), (name for name in names if families[name] not in seen), strict=False):
        seen.add(families[name])
        if _fits(name, output_stride):
            yield name
