import pytest
import torch
from torch.nn import functional as F

from src.core.errors import InputError
from src.models.backbones import resnet
from src.models.tables import ARCHS, BACKBONES, HEADS

pytest.importorskip("timm", reason="needs timm: pip install timm")
smp = pytest.importorskip("segmentation_models_pytorch", reason="needs smp: pip install segmentation_models_pytorch")


def network(arch, model="test_efficientnet", stride=32, classes=5):
    backbone = BACKBONES["timm"](model, output_stride=stride, native_output_stride=8)
    return HEADS["smp"](backbone, classes, arch=arch).eval()


@pytest.mark.parametrize(("arch", "stride"), [(arch, stride) for arch in ARCHS for stride in ARCHS[arch]])
def test_every_network_is_smps_own_at_any_size(arch, stride):
    """With equal weights, logits equal those of smp's network on the filled-up image, cut to the image."""
    torch.manual_seed(0)
    ours = network(arch, stride=stride)
    dilated = {"encoder_output_stride": stride} if arch in ("PAN", "DeepLabV3", "DeepLabV3Plus") else {}
    dilated = dilated or ({"output_stride": stride} if stride != 32 else {})
    theirs = getattr(smp, arch)(
        "tu-test_efficientnet", encoder_weights=None, encoder_depth=5, classes=5, **dilated
    ).eval()  # fmt: skip
    theirs.encoder.model.load_state_dict(ours.backbone["timm"].state_dict())
    theirs.decoder.load_state_dict(ours.classifier["decoder"].state_dict())
    theirs.segmentation_head.load_state_dict(ours.classifier["last"].state_dict())
    image = torch.randn(1, 3, 257, 271)
    with torch.no_grad():
        found = ours(image)
        expected = theirs(F.pad(image, (0, -271 % stride, 0, -257 % stride)))[..., :257, :271]
    assert found.shape == (1, 5, 257, 271)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("model", ["test_convnext", "test_mambaout", "test_resnet"])
@pytest.mark.parametrize("arch", ["Unet", "FPN"])
def test_networks_of_other_kinds_learn_with_every_parameter(arch, model):
    built = network(arch, model=model).train()
    built(torch.randn(2, 3, 70, 90)).square().mean().backward()
    assert [name for name, parameter in built.named_parameters() if parameter.grad is None] == []


def test_other_backbones_are_refused():
    with pytest.raises(InputError, match=r"head\.name=smp: needs backbone=timm"):
        HEADS["smp"](resnet("resnet18", output_stride=16, native_output_stride=8), 5, arch="Unet")
