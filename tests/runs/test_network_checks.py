"""What is told of a network before torch is imported."""

import sys
from types import ModuleType

import pytest
from omegaconf import OmegaConf

from src.core.errors import InputError
from src.runs.checks.network import check_parts, check_weights


def chosen(model="tf_efficientnet_lite0", weights="pretrained", kind="timm", **head):
    backbone = {"name": "one", "kind": kind, "model": model, "native_output_stride": 8, "weights": weights}
    return OmegaConf.create({"backbone": backbone, "head": {"name": "deeplabv3plus", "output_stride": 16, **head}})


@pytest.fixture
def installed(monkeypatch):
    for name in ("timm", "segmentation_models_pytorch"):
        module = ModuleType(name)
        module.__spec__ = sys.__spec__  # all that is looked at
        monkeypatch.setitem(sys.modules, name, module)


def test_a_missing_package_is_told_with_the_command(monkeypatch, installed):
    check_parts(chosen())
    monkeypatch.setitem(sys.modules, "segmentation_models_pytorch", None)
    with pytest.raises(InputError, match=r"head\.name=smp: .*`pip install segmentation_models_pytorch`"):
        check_parts(chosen(name="smp", arch="Unet", output_stride=32))
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(InputError, match=r"backbone\.kind=timm: timm is not installed; `pip install timm`"):
        check_parts(chosen())


@pytest.mark.parametrize("model", ["hf-hub:somebody/net", "local-dir:net", "../net", "a.b.c", "", None, 3])
def test_only_names_are_models_of_timm(model, installed):
    with pytest.raises(InputError, match=r"backbone\.model=.*must be a name of timm's"):
        check_parts(chosen(model))


@pytest.mark.parametrize(
    ("head", "words"),
    [
        ({"arch": "unet"}, "head.arch=unet: not one of Unet"),
        ({"arch": "DPT"}, "head.arch=DPT: not one of"),
        ({"arch": "Unet", "output_stride": 16}, "head.output_stride=16: not one of 32"),
    ],
)
def test_networks_of_smp_and_their_strides_are_known(head, words, installed):
    check_parts(chosen(name="smp", arch="DeepLabV3Plus", output_stride=8))
    with pytest.raises(InputError, match=words):
        check_parts(chosen(name="smp", **{"output_stride": 32, **head}))
    with pytest.raises(InputError, match="needs backbone=timm"):
        check_parts(chosen("resnet18", kind="resnet", name="smp", arch="Unet", output_stride=32))


def test_torchvisions_networks_have_two_strides():
    with pytest.raises(InputError, match=r"head\.output_stride=32: not one of 8, 16"):
        check_parts(chosen("resnet18", kind="resnet", output_stride=32))


def test_files_and_runs_are_looked_for(tmp_path):
    (tmp_path / "w.pth").touch()
    for weights in ("pretrained", "a1_in1k", "none", None, str(tmp_path / "w.pth")):
        check_weights(chosen(weights=weights).backbone)
    with pytest.raises(InputError, match="there is no such file"):
        check_weights(chosen(weights="nowhere/w.pth").backbone)
    with pytest.raises(InputError, match=r"folder without best\.ckpt"):
        check_weights(chosen(weights=str(tmp_path)).backbone)
    (tmp_path / "best.ckpt").touch()
    for kind, model in (("timm", "resnet18"), ("resnet", "resnet18")):
        check_weights(chosen(model, weights=str(tmp_path), kind=kind).backbone)
