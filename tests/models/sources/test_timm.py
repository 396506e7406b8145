import hashlib

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from src.core.errors import InputError
from src.data.transforms import ready
from src.models.deeplab import DeepLabV3, DeepLabV3Plus
from src.models.tables import BACKBONES
from src.models.weights import load

timm = pytest.importorskip("timm", reason="needs timm: pip install timm")


def backbone(model, stride=16):
    return BACKBONES["timm"](model, output_stride=stride, native_output_stride=8).eval()


def filled(model, path, stride=16):
    """A backbone and timm's own classifier, both with the weights of a file."""
    torch.manual_seed(1)
    whole = timm.create_model(model, num_classes=7)
    for name, value in whole.state_dict().items():
        if name.endswith(("running_mean", "running_var")):
            value.uniform_(0.5, 1.5)
    torch.save(whole.state_dict(), path)
    network = DeepLabV3Plus(backbone(model, stride), 5)
    return network, load(network, str(path), []), whole.eval()


def timms_own(model, state, stride, image):
    """Features as timm gives them, in timm's order of the dimensions."""
    options = {} if stride == 32 else {"output_stride": stride}
    overlay = {"state_dict": dict(state)}
    made = timm.create_model(model, features_only=True, pretrained=True, pretrained_cfg_overlay=overlay, **options)
    with torch.no_grad():
        return made.eval()(image)


@pytest.mark.parametrize(
    ("model", "stride"),
    [("test_efficientnet", 16), ("test_resnet", 8), ("test_byobnet", 16), ("mobilenetv3_small_050", 16)],
)
@pytest.mark.parametrize("size", [(65, 97), (50, 71)])
def test_features_are_timms_own_at_any_size(model, stride, size, tmp_path):
    network, _, whole = filled(model, tmp_path / "w.pth", stride)
    image = torch.randn(1, 3, *size)
    theirs = timms_own(model, whole.state_dict(), stride, image)
    with torch.no_grad():
        found = network.backbone.eval()(image)
    for key, step in (("low", 4), ("out", stride)):
        assert found[key].shape[-2:] == tuple(-(-side // step) for side in size)
    torch.testing.assert_close(found["out"], theirs[-1], rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(found["low"], theirs[1], rtol=1e-6, atol=1e-6)
    assert (network.backbone.low_channels, network.backbone.out_channels) == (theirs[1].shape[1], theirs[-1].shape[1])


@pytest.mark.parametrize(("model", "stride"), [("test_convnext", 16), ("hrnet_w18_small", 32)])
def test_networks_that_would_cut_the_border_see_it_filled_up(model, stride, tmp_path):
    network, _, whole = filled(model, tmp_path / "w.pth", stride)
    image = torch.randn(1, 3, 50, 71)
    theirs = timms_own(model, whole.state_dict(), stride, F.pad(image, (0, -71 % stride, 0, -50 % stride)))
    with torch.no_grad():
        torch.testing.assert_close(network.backbone.eval()(image)["out"], theirs[-1], rtol=1e-6, atol=1e-6)
        assert network.eval()(image).shape == (1, 5, 13, 18)
        assert DeepLabV3(network.backbone, 5).eval()(image).shape == (1, 5, -(-50 // stride), -(-71 // stride))


def test_channels_that_come_last_are_put_first(tmp_path):
    network, _, whole = filled("test_mambaout", tmp_path / "w.pth", 32)
    image = torch.randn(1, 3, 64, 96)
    theirs = timms_own("test_mambaout", whole.state_dict(), 32, image)[-1]
    assert theirs.shape == (1, 2, 3, network.backbone.out_channels)
    with torch.no_grad():
        torch.testing.assert_close(network.backbone.eval()(image)["out"], theirs.permute(0, 3, 1, 2))


def test_images_are_normalised_as_timm_does(tmp_path):
    """With timm's own preprocessing, but without its resizing: features equal timm's."""
    network, _, whole = filled("tf_efficientnet_lite0", tmp_path / "w.pth")
    pixels = np.random.default_rng(0).integers(0, 256, (65, 97, 3), dtype=np.uint8)
    config = timm.data.resolve_model_data_config(whole)
    to_input = timm.data.create_transform(**{**config, "input_size": (3, 65, 97)}, is_training=False).transforms[-2:]
    theirs = Image.fromarray(pixels)
    for step in to_input:
        theirs = step(theirs)
    batch = {"rgb": torch.from_numpy(pixels)[None], "mask": torch.zeros(1, 65, 97, dtype=torch.uint8)}
    ours = ready(batch, mean=network.backbone.mean, std=network.backbone.std, channels_last=False)["image"]
    assert isinstance(theirs, Tensor) and config["mean"] == network.backbone.mean == (0.5, 0.5, 0.5)
    with torch.no_grad():
        expected = timms_own("tf_efficientnet_lite0", whole.state_dict(), 16, theirs[None])[-1]
        torch.testing.assert_close(network.backbone.eval()(ours)["out"], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("ending", ["pth", "safetensors"])
def test_a_file_of_the_classifier_fills_the_backbone(ending, tmp_path):
    whole = timm.create_model("test_efficientnet")
    path = tmp_path / f"w.{ending}"
    if ending == "pth":
        torch.save(whole.state_dict(), path)
    else:
        pytest.importorskip("safetensors.torch").save_file(whole.state_dict(), path)
    network = DeepLabV3Plus(backbone("test_efficientnet"), 5)
    loaded = load(network, str(path), [])
    assert loaded.pretrained == {name for name, _ in network.named_parameters() if name.startswith("backbone.")}
    assert loaded.summary == f"backbone from {path}; left out: bn2, classifier, conv_head; new: classifier"


def test_a_file_of_another_network_is_refused(tmp_path):
    torch.save(timm.create_model("test_resnet").state_dict(), tmp_path / "w.pth")
    with pytest.raises(InputError, match=r"w\.pth does not fit test_efficientnet; wrong keys: .* missing"):
        load(DeepLabV3Plus(backbone("test_efficientnet"), 5), str(tmp_path / "w.pth"), [])
    (tmp_path / "w.safetensors").write_bytes(b"<html>404</html>")
    with pytest.raises(InputError, match="damaged"):
        load(DeepLabV3Plus(backbone("test_efficientnet"), 5), str(tmp_path / "w.safetensors"), [])


def test_published_weights_say_where_they_come_from(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody answers
    network = DeepLabV3Plus(backbone("test_convnext"), 5)
    place = tmp_path / "hub" / "checkpoints" / "test_convnext.r160_in1k.safetensors"
    address = "http://127.0.0.1:9/timm/test_convnext.r160_in1k/resolve/main/model.safetensors"
    with pytest.raises(InputError) as caught:
        load(network, "pretrained", [])
    for part in (address, str(place), "backbone.weights=PATH", "backbone.weights=none"):
        assert part in str(caught.value)
    pytest.importorskip("safetensors.torch").save_file(timm.create_model("test_convnext").state_dict(), place)
    digest = hashlib.sha256(place.read_bytes()).hexdigest()[:12]
    for name in ("pretrained", "r160_in1k"):
        said = load(network, name, []).summary
        assert f"({address}, SHA-256 {digest}, licence apache-2.0); left out: head; new: classifier" in said
    with pytest.raises(InputError, match=r"backbone\.weights=a1_in1k: no such file.*pretrained, r160_in1k, or none"):
        load(network, "a1_in1k", [])


@pytest.mark.parametrize(
    ("model", "stride", "words"),
    [
        ("vit_tiny_patch16_224", 16, r"says timm \(.*output_stride.*\)\. Near names that do: \w+, \w+, \w+\."),
        ("swin_tiny_patch4_window7_224", 16, r"says timm \(.*output_stride.*Near names that do: \w+"),
        ("vit_tiny_patch16_224", 32, "the strides 16, 16, 16"),
        ("hrnet_w18", 16, r"head\.output_stride=32 takes it as it is"),
        ("resnet19", 16, "timm has no such network; near names: resnet18"),
        ("resnet18.b1", 16, "timm has no such weights; those of resnet18: resnet18.a1_in1k"),
    ],
)
def test_networks_that_do_not_fit_are_refused(model, stride, words):
    with pytest.raises(InputError, match=words):
        backbone(model, stride)
