import hashlib
import socket
from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision.models import ResNet18_Weights, get_model
from torchvision.models.segmentation import DeepLabV3_ResNet50_Weights

from src.core.errors import InputError
from src.models.backbones import mobilenet_v3_large, resnet
from src.models.deeplab import DeepLab, DeepLabV3, DeepLabV3Plus
from src.models.weights import load


def small(num_classes: int = 21) -> DeepLab:
    return DeepLabV3Plus(resnet("resnet18", output_stride=16, native_output_stride=8), num_classes)


def mobilenet(head: type[DeepLabV3] | type[DeepLabV3Plus], num_classes: int = 21) -> DeepLab:
    backbone = mobilenet_v3_large("deeplabv3_mobilenet_v3_large", output_stride=16, native_output_stride=16)
    return head(backbone, num_classes)


VOC = [name.strip("_") for name in DeepLabV3_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1.meta["categories"]]


@pytest.fixture(scope="module")
def imagenet_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    state = get_model("resnet18", weights=None).state_dict()
    torch.save({key: value for key, value in state.items() if "num_batches" not in key}, path)  # as before 2018
    return path


@pytest.fixture(scope="module")
def coco_file(mobilenet_v3: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "deeplabv3_mobilenet.pth"
    torch.save(mobilenet_v3.state_dict(), path)
    return path


@pytest.fixture
def published(imagenet_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A local file in the place of the server's, its name carrying the hash, and an empty cache."""
    digest = hashlib.sha256(imagenet_file.read_bytes()).hexdigest()[:8]
    path = tmp_path / f"resnet18-{digest}.pth"
    path.write_bytes(imagenet_file.read_bytes())
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(ResNet18_Weights.IMAGENET1K_V1.value, "url", path.as_uri())
    return path


@pytest.mark.parametrize("weights", [None, "none"])
def test_none_loads_nothing(weights: str | None) -> None:
    loaded = load(small(), weights, VOC)
    assert loaded.pretrained == frozenset()
    assert "no pretrained weights" in loaded.summary


@pytest.mark.parametrize("name", ["IMAGENET1K_V1", "ResNet18_Weights.IMAGENET1K_V1"])
def test_published_weights_fill_the_backbone(name: str, published: Path) -> None:
    network = small()
    loaded = load(network, name, VOC)
    state = torch.load(published, weights_only=True)
    assert torch.equal(network.backbone.layer4[1].bn2.weight, state["layer4.1.bn2.weight"])
    assert torch.equal(network.backbone.conv1.weight, state["conv1.weight"])
    assert loaded.pretrained == {n for n, _ in network.named_parameters() if n.startswith("backbone.")}
    source = f"ResNet18_Weights.IMAGENET1K_V1 ({published.name})"
    assert loaded.summary == f"backbone from {source}; left out: fc; new: classifier"


def test_a_changed_download_is_refused(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = published.with_name("resnet18-00000000.pth")
    published.rename(wrong)
    monkeypatch.setattr(ResNet18_Weights.IMAGENET1K_V1.value, "url", wrong.as_uri())
    with pytest.raises(InputError, match="invalid hash"):
        load(small(), "IMAGENET1K_V1", VOC)


def test_no_network_says_what_to_do(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/{published.name}"  # bound, not listening: refused
        monkeypatch.setattr(ResNet18_Weights.IMAGENET1K_V1.value, "url", url)
        with pytest.raises(InputError) as caught:
            load(small(), "IMAGENET1K_V1", VOC)
    place = Path(torch.hub.get_dir()) / "checkpoints" / published.name
    for part in (url, str(place), "backbone.weights=PATH", "backbone.weights=none"):
        assert part in str(caught.value)
    place.write_bytes(published.read_bytes())
    assert load(small(), "IMAGENET1K_V1", VOC).pretrained


def test_coco_file_starts_both_heads_at_the_same_prediction(coco_file: Path) -> None:
    image = torch.randn(1, 3, 64, 64)
    plain, plus = mobilenet(DeepLabV3), mobilenet(DeepLabV3Plus)
    of_plain, of_plus = load(plain, str(coco_file), VOC), load(plus, str(coco_file), VOC)
    assert of_plain.summary == f"backbone and head from {coco_file}; left out: aux_classifier"
    assert of_plain.pretrained == {name for name, _ in plain.named_parameters()}
    decoder = "backbone and head (the decoder starts as an identity after it)"
    assert of_plus.summary == f"{decoder} from {coco_file}; left out: aux_classifier; new: classifier.project_low"
    with torch.no_grad():
        coarse, fine = plain.eval()(image), plus.eval()(image)
    expected = nn.functional.interpolate(coarse, fine.shape[-2:], mode="bilinear", align_corners=False)
    torch.testing.assert_close(fine, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.parametrize(("head", "last"), [(DeepLabV3, "4"), (DeepLabV3Plus, "last")])
def test_another_number_of_classes_leaves_the_last_layer_new(head, last: str, coco_file: Path) -> None:
    network = mobilenet(head, num_classes=4)
    loaded = load(network, str(coco_file), VOC)
    assert "left out: aux_classifier, classifier.4 (its 21 classes are not the 4 of the data)" in loaded.summary
    assert f"classifier.{last}" in loaded.summary.split("new: ")[1].split(", ")
    assert f"classifier.{last}.weight" not in loaded.pretrained


def test_imagenet_file_of_a_mobilenet(tmp_path: Path) -> None:
    torch.save(get_model("mobilenet_v3_large", weights=None).state_dict(), tmp_path / "m.pth")
    backbone = mobilenet_v3_large("mobilenet_v3_large", output_stride=16, native_output_stride=16)
    summary = load(DeepLabV3Plus(backbone, 3), str(tmp_path / "m.pth"), VOC).summary
    assert summary == f"backbone from {tmp_path / 'm.pth'}; left out: classifier; new: classifier"


class Code:
    pass


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"<html>404</html>", "not a PyTorch checkpoint"),
        (b"", "not a PyTorch checkpoint"),
        (Code(), "pickled code"),
        ({"state_dict": {}, "epoch": 3}, "does not hold a state dict but state_dict, epoch"),
        (
            {"conv1.weight": torch.zeros(64, 3, 7, 7)},
            r"does not fit resnet18; .*missing \(bn1\.weight, bn1\.bias.*\.\.\.",
        ),
    ],
)
def test_bad_files_are_named(content: object, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(InputError, match=complaint) as caught:
        load(small(), str(path), VOC)
    assert str(path) in str(caught.value)


def test_a_truncated_file_is_named(imagenet_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "half.pth"
    path.write_bytes(imagenet_file.read_bytes()[: 1 << 20])
    with pytest.raises(InputError, match="damaged"):
        load(small(), str(path), VOC)


def test_weights_of_another_network_are_named(imagenet_file: Path, coco_file: Path) -> None:
    with pytest.raises(InputError, match=r"missing \(backbone\.0\.0\.weight.*unexpected \(conv1\.weight"):
        load(mobilenet(DeepLabV3Plus), str(imagenet_file), VOC)
    with pytest.raises(InputError, match=r"missing \(conv1\.weight.*unexpected \(backbone\.0\.0\.weight"):
        load(small(), str(coco_file), VOC)
    wider = DeepLabV3Plus(resnet("resnet34", output_stride=16, native_output_stride=8), 2)
    with pytest.raises(InputError, match="missing"):
        load(wider, str(imagenet_file), VOC)


def test_no_such_weights_lists_the_choice() -> None:
    with pytest.raises(InputError, match=r"backbone\.weights=IMAGENET: no such file.*IMAGENET1K_V1 or none"):
        load(small(), "IMAGENET", VOC)
