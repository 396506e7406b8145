import pytest
import torch
from torch import nn
from torchvision.models import get_model
from torchvision.ops import SqueezeExcitation

from src.core.errors import InputError
from src.models.backbones import Backbone, mobilenet_v3_large, resnet


def dilations(network: nn.Module) -> list[tuple[object, ...]]:
    return [(m.stride, m.dilation, m.padding) for m in network.modules() if isinstance(m, nn.Conv2d)]


@pytest.mark.parametrize(("stride", "replace"), [(8, [False, True, True]), (16, [False, False, True])])
def test_dilated_resnet_is_torchvisions(stride: int, replace: list[bool]) -> None:
    ours = resnet("resnet50", output_stride=stride, native_output_stride=8)
    reference = get_model("resnet50", weights=None, replace_stride_with_dilation=replace)
    assert dilations(ours) == dilations(reference)


@pytest.mark.parametrize("stride", [8, 16])
def test_dilated_basic_block_keeps_the_features(stride: int) -> None:
    ours = resnet("resnet18", output_stride=stride, native_output_stride=8).eval()
    strided = get_model("resnet18", weights=None).eval()
    ours.load_state_dict({k: v for k, v in strided.state_dict().items() if not k.startswith("fc.")})
    strided.avgpool, strided.fc = nn.Identity(), nn.Identity()
    image = torch.randn(1, 3, 65, 97)
    step = 32 // stride
    features = ours(image)["out"][..., ::step, ::step]
    torch.testing.assert_close(features.flatten(1), strided(image), rtol=1e-4, atol=1e-4)


def test_dilated_mobilenet_keeps_the_features() -> None:
    fine, coarse = (
        mobilenet_v3_large("mobilenet_v3_large", output_stride=s, native_output_stride=16).eval() for s in (8, 16)
    )
    fine.load_state_dict(coarse.state_dict())
    for module in [*fine.modules(), *coarse.modules()]:
        if isinstance(module, SqueezeExcitation):  # its mean runs over more pixels at the finer stride
            module.forward = lambda x: x
    image = torch.randn(1, 3, 65, 97)
    torch.testing.assert_close(fine(image)["out"][..., ::2, ::2], coarse(image)["out"], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("backbone", "channels", "rates"),
    [
        (resnet("resnet18", output_stride=8, native_output_stride=8), (64, 512), (12, 24, 36)),
        (resnet("resnet18", output_stride=16, native_output_stride=8), (64, 512), (6, 12, 18)),
        (resnet("resnet50", output_stride=16, native_output_stride=8), (256, 2048), (6, 12, 18)),
        (mobilenet_v3_large("mobilenet_v3_large", output_stride=8, native_output_stride=16), (24, 960), (24, 48, 72)),
        (mobilenet_v3_large("mobilenet_v3_large", output_stride=16, native_output_stride=16), (24, 960), (12, 24, 36)),
    ],
)
def test_features_have_the_promised_shapes(
    backbone: Backbone, channels: tuple[int, int], rates: tuple[int, ...]
) -> None:
    features = backbone.eval()(torch.randn(1, 3, 50, 71))
    fine, coarse = features["low"], features["out"]
    stride = backbone.output_stride
    assert fine.shape == (1, channels[0], -(-50 // 4), -(-71 // 4))
    assert coarse.shape == (1, channels[1], -(-50 // stride), -(-71 // stride))
    assert (backbone.low_channels, backbone.out_channels) == channels
    assert backbone.atrous_rates == rates


def test_bad_input_names_the_key() -> None:
    with pytest.raises(InputError, match=r"head\.output_stride=32.*8, 16"):
        resnet("resnet18", output_stride=32, native_output_stride=8)
    with pytest.raises(InputError, match=r"backbone\.model=resnet19"):
        resnet("resnet19", output_stride=8, native_output_stride=8)
