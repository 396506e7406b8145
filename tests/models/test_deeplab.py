from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from torch import Tensor, nn
from torch.nn import functional as F

from src.models import tables
from src.models.backbones import Backbone, mobilenet_v3_large, resnet
from src.models.deeplab import DeepLab, DeepLabV3, DeepLabV3Plus, ImageMean, rectified_gaussian, resize_logits

CONF = Path(__file__).parents[2] / "conf"
BACKBONES = sorted(path.stem for path in (CONF / "backbone").glob("*.yaml"))
HEADS = sorted(path.stem for path in (CONF / "head").glob("*.yaml"))
NOT_ARGUMENTS = ("name", "weights", "output_stride")


def warm_started(reference: nn.Module, backbone: Backbone) -> tuple[DeepLabV3, DeepLabV3Plus]:
    """Both heads on one backbone, with the state of torchvision's network."""
    state = reference.state_dict()
    plain, plus = DeepLabV3(backbone, 21), DeepLabV3Plus(backbone, 21)
    plain.load_state_dict({key: value for key, value in state.items() if not key.startswith("aux_classifier.")})
    head = plain.classifier.state_dict()
    skipped = plus.classifier.load_state_dict(plus.classifier.adopt_head(head), strict=False)
    assert not skipped.unexpected_keys
    assert all(key.startswith("project_low.") for key in skipped.missing_keys)
    return plain.eval(), plus.eval()


def smooth_images(*size: int) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    coarse = torch.randn(2, 3, 12, 12, generator=generator)
    return resize_logits(coarse, (size[0], size[1])) + 0.3 * torch.randn(2, 3, *size, generator=generator)


def check_closeness(reference: nn.Module, plain: DeepLabV3, plus: DeepLabV3Plus, *, size: tuple[int, int]) -> None:
    images = smooth_images(*size)
    with torch.no_grad():
        expected, ours, warm = reference(images)["out"], plain(images), plus(images)
    torch.testing.assert_close(resize_logits(ours, size), expected, rtol=1e-5, atol=1e-5)
    at_stride_4 = resize_logits(ours, (warm.shape[2], warm.shape[3]))
    torch.testing.assert_close(warm, at_stride_4, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))
    full = resize_logits(warm, size)  # two bilinear steps instead of one: all that is left of a difference
    error = (full - expected).norm() / expected.norm()
    agreement = (full.argmax(1) == expected.argmax(1)).float().mean()
    print(f"warm start: relative error {error:.4f}, equal labels {agreement:.4f}")
    assert expected.argmax(1).unique().numel() > 3  # agreement on one class would prove nothing
    assert error < 0.03 and agreement > 0.96


def test_resnet101_v3_is_torchvisions_and_v3plus_starts_there(resnet101_v3: nn.Module) -> None:
    backbone = resnet("deeplabv3_resnet101", output_stride=8, native_output_stride=8)
    plain, plus = warm_started(resnet101_v3, backbone)
    check_closeness(resnet101_v3, plain, plus, size=(97, 81))


def test_mobilenet_v3_is_torchvisions_and_v3plus_starts_there(mobilenet_v3: nn.Module) -> None:
    backbone = mobilenet_v3_large("deeplabv3_mobilenet_v3_large", output_stride=16, native_output_stride=16)
    plain, plus = warm_started(mobilenet_v3, backbone)
    check_closeness(mobilenet_v3, plain, plus, size=(129, 97))


def test_v3plus_starts_there_in_training_too(mobilenet_v3: nn.Module) -> None:
    backbone = mobilenet_v3_large("deeplabv3_mobilenet_v3_large", output_stride=16, native_output_stride=16)
    networks = warm_started(mobilenet_v3, backbone)
    images, outputs = smooth_images(129, 97), []
    for network in networks:
        for module in network.train().modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        with torch.no_grad():
            outputs.append(resize_logits(network(images), (129, 97)))
    error = (outputs[0] - outputs[1]).norm() / outputs[0].norm()
    print(f"warm start, training mode: relative error {error:.4f}")
    assert error < 0.3  # 0.7 with BatchNorms that start at mean 0 and variance 1


def test_rectified_gaussian_against_sampling() -> None:
    mean, std = torch.tensor([-2.0, 0.0, 0.5, 3.0, 1.0]), torch.tensor([1.0, 0.3, 2.0, 1.0, 0.0])
    samples = (mean + std * torch.randn(400_000, 5, generator=torch.Generator().manual_seed(0))).relu()
    first, variance = rectified_gaussian(mean=mean, std=std)
    torch.testing.assert_close(first, samples.mean(0), rtol=0.01, atol=0.01)
    torch.testing.assert_close(variance, samples.var(0), rtol=0.03, atol=0.001)


def build(config: DictConfig) -> DeepLab:
    stride = config.head.output_stride
    backbone = tables.BACKBONES.make(config.backbone, ignore=("name", "weights"), output_stride=stride)
    return tables.HEADS.make(config.head, ignore=("output_stride",), backbone=backbone, num_classes=5)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_config_builds_and_takes_any_size(backbone: str, head: str) -> None:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose(overrides=[f"+backbone={backbone}", f"+head={head}"])
    if backbone == "timm":
        pytest.importorskip("timm", reason="needs timm: pip install timm")
    if head == "smp":
        pytest.skip("takes timm's backbones only: see tests/models/sources")
    assert config.backbone.name == (config.backbone.model if backbone == "timm" else backbone)
    assert config.head.name == head
    network = build(config).eval()
    stride = 4 if head == "deeplabv3plus" else config.head.output_stride
    with torch.no_grad():
        assert network(torch.randn(1, 3, 45, 66)).shape == (1, 5, -(-45 // stride), -(-66 // stride))


def test_every_parameter_learns() -> None:
    network = DeepLabV3Plus(resnet("resnet18", output_stride=16, native_output_stride=8), 5)
    network(torch.randn(2, 3, 65, 65)).square().mean().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in network.parameters())


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
def test_gradients_of_pooling_have_the_layout_of_the_features(layout: torch.memory_format) -> None:
    features = torch.randn(2, 8, 5, 7).contiguous(memory_format=layout).requires_grad_()
    pooled = ImageMean()(features)
    torch.testing.assert_close(pooled, F.adaptive_avg_pool2d(features, 1))
    (gradient,) = torch.autograd.grad(pooled.square().sum(), features)
    assert gradient.is_contiguous(memory_format=layout)
