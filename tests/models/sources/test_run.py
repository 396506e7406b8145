import pytest
import torch

from src.core.errors import InputError
from src.models.backbones import resnet
from src.models.deeplab import DeepLabV3, DeepLabV3Plus
from src.models.weights import load
from tests.conftest import warm_run

NAMES = ["a", "b", "c"]
HALF = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}


def network(classes=3, head=DeepLabV3Plus, model="resnet18"):
    return head(resnet(model, output_stride=16, native_output_stride=8), classes)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run folder with a checkpoint, and the network in it."""
    folder, trained = tmp_path_factory.mktemp("runs") / "A", network()
    folder.mkdir()
    content = {
        "seglab": {"config": {"backbone": {"model": "resnet18"}}, "classes": {"names": NAMES}, "normalization": HALF},
        "state_dict": {f"network.{key}": value for key, value in trained.state_dict().items()},
        "epoch": 0,
        "global_step": 2,
    }
    torch.save(content, folder / "best.ckpt")
    return folder, trained.state_dict()


@pytest.mark.parametrize("file", ["", "best.ckpt"])
def test_an_equal_network_takes_all(run, file):
    (folder, state), fresh = run, network()
    loaded = load(fresh, str(folder / file), NAMES)
    assert all(torch.equal(value, state[key]) for key, value in fresh.state_dict().items())
    assert loaded.pretrained == {name for name, _ in fresh.named_parameters()}
    assert loaded.summary == f"backbone and classifier from {folder / 'best.ckpt'}"
    assert (fresh.backbone.mean, fresh.backbone.std) == ((0.5,) * 3, (0.5,) * 3)


def test_other_classes_renew_the_last_layer(run):
    (folder, state), fresh = run, network(classes=7)
    loaded = load(fresh, str(folder), [*"cbadefg"])
    last = "classifier.last"
    assert loaded.summary.endswith(
        f"best.ckpt; new: {last}; dropped: {last} (other classes: only the second has d, e, f, g)"
    )
    assert torch.equal(fresh.classifier.refine[0].weight, state["classifier.refine.0.weight"])
    assert {name for name, _ in fresh.named_parameters()} - loaded.pretrained == {f"{last}.weight", f"{last}.bias"}


def test_as_many_other_classes_renew_it_too(run):
    said = load(network(), str(run[0]), ["c", "b", "a"]).summary
    assert said.endswith("dropped: classifier.last (other classes: they have the same classes in another order)")


def test_another_head_keeps_the_backbone(run):
    loaded = load(fresh := network(head=DeepLabV3), str(run[0]), NAMES)
    assert loaded.summary.startswith("backbone from ")
    assert loaded.summary.endswith("; new: classifier; dropped: classifier (of another head)")
    assert loaded.pretrained == {name for name, _ in fresh.named_parameters() if name.startswith("backbone.")}


def test_another_backbone_is_refused(run):
    with pytest.raises(InputError, match=r"its backbone resnet18 is not resnet34; wrong keys: .*missing"):
        load(network(model="resnet34"), str(run[0]), NAMES)


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"folder without best\.ckpt"):
        load(network(), str(tmp_path), NAMES)
    torch.save({"state_dict": {}}, tmp_path / "other.ckpt")
    with pytest.raises(InputError, match="checkpoint of something else"):
        load(network(), str(tmp_path / "other.ckpt"), NAMES)


FEW = [
    *("data=shapes", "data.prepare.train=8", "data.prepare.val=3", "data.prepare.height=64", "data.prepare.width=64"),
    *("backbone=timm", "backbone.model=test_resnet", "head.output_stride=16", "variants=none", "panels=0"),
    *("recipe.epochs=1", "recipe.batch_size=4", "recipe.augment.crop=48", "crf=deeplabv2"),
]


@pytest.mark.slow
def test_mean_and_deviation_travel_in_the_checkpoint(tmp_path):
    """A timm network trains, is scored from its checkpoint alone, and with the checkpoint's statistics."""
    pytest.importorskip("timm", reason="needs timm: pip install timm")
    warm_run("train", *FEW, "backbone.weights=none", "name=A", cwd=tmp_path)
    content = torch.load(tmp_path / "runs" / "A" / "best.ckpt", weights_only=True)
    assert content["seglab"]["normalization"] == HALF
    scored = {}
    for name, statistics in (("same", HALF), ("other", {"mean": [0.9, 0.1, 0.1], "std": [0.01, 0.01, 0.01]})):
        content["seglab"]["normalization"] = statistics
        torch.save(content, tmp_path / f"{name}.ckpt")
        warm_run("evaluate", f"checkpoint={name}.ckpt", f"output={name}", "variants=none", "panels=0", cwd=tmp_path)
        scored[name] = (tmp_path / name / "confusion.npz").read_bytes()
    assert scored["same"] == (tmp_path / "runs" / "A" / "confusion.npz").read_bytes()
    assert scored["other"] != scored["same"]
    said = warm_run("train", *FEW, "backbone.weights=runs/A", "name=B", cwd=tmp_path).stdout
    assert "backbone and classifier from runs/A/best.ckpt" in " ".join(said.split())
