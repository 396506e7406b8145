"""A folder to share scores like the run, holds nothing else of it, and runs no code."""

import json
import shutil

import pytest
import torch
import yaml

from src.core.errors import InputError
from src.core.values import as_dict
from src.evaluation import build
from src.evaluation.export.shareable import shareable
from src.models.checkpoint.content import load_checkpoint
from src.models.weights import load
from tests.conftest import TINY, config
from tests.conftest import warm_run as run

safetensors = pytest.importorskip("safetensors.torch", reason="needs safetensors: pip install safetensors")


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A working folder with a run whose weights were averaged, and `shared` made of it."""
    cwd = tmp_path_factory.mktemp("share")
    root = f"data.root={cwd}/data/elsewhere"
    run("train", *TINY, root, "recipe.epochs=2", "recipe.ema=0.5", "variants=report2024", "name=net", cwd=cwd)
    return cwd, run("export", "run=runs/net", "format=folder", "output=shared", cwd=cwd)


def variants(folder):
    return json.loads((folder / "results.json").read_text())["variants"]


def test_it_scores_like_the_run_bit_for_bit(shared):
    cwd, _ = shared
    run("evaluate", "run=shared", f"data.root={cwd}/data/elsewhere", "output=scores", cwd=cwd)
    run("evaluate", "checkpoint=shared/model.safetensors", f"data.root={cwd}/data/elsewhere", "output=again", cwd=cwd)
    assert variants(cwd / "scores") == variants(cwd / "again") == variants(cwd / "runs" / "net")


def test_it_holds_the_averaged_weights_and_no_optimiser(shared):
    cwd, _ = shared
    scored = torch.load(cwd / "runs/net/best.ckpt", weights_only=True)
    found = safetensors.load_file(cwd / "shared/model.safetensors")
    assert {f"network.{key}" for key in found} == set(scored["state_dict"])
    assert all(torch.equal(value, scored["state_dict"][f"network.{key}"]) for key, value in found.items())
    assert any(
        not torch.equal(scored["state_dict"][key], value) for key, value in scored["current_model_state"].items()
    )
    content = load_checkpoint(cwd / "shared/model.safetensors")
    assert set(content) == {"seglab", "state_dict", "epoch", "global_step", "pytorch-lightning_version"}


def test_it_names_no_folder_of_this_machine(shared):
    cwd, done = shared
    assert sorted(path.name for path in (cwd / "shared").iterdir()) == [
        *("README.md", "classes.yaml", "config.yaml", "model.safetensors")
    ]
    for file in (cwd / "shared").iterdir():
        assert str(cwd.parent).encode() not in file.read_bytes(), file.name
    assert "is not passed on; the folder says data/shapes" in done.stdout


def test_absolute_paths_lose_their_folders():
    plain = config("data.train_list=/home/me/lists/my.txt", "backbone.weights=/w/r50.pth", "data.root=rel/data")
    plain.data.val_list = "~/lists/other.txt"
    plain.plugins = {"/home/me/mine.py": "0123456789ab", "beside.py": "0"}
    found = shareable(plain)
    assert [found["data"][key] for key in ("train_list", "val_list")] == ["my.txt", "other.txt"]
    assert found["backbone"]["weights"] == "r50.pth"
    assert found["plugins"] == {"mine.py": "0123456789ab", "beside.py": "0"} and found["data"]["root"] == "rel/data"
    assert found["data"]["classes"] == as_dict(plain.data)["classes"]
    assert not {"runs", "trainer", "logger", "name"} & set(found)


def test_the_card_has_table_interval_protocol_and_fingerprint(shared):
    cwd, _ = shared
    card = (cwd / "shared/README.md").read_text()
    results = json.loads((cwd / "runs/net/results.json").read_text())
    for name, row in results["variants"].items():
        assert f"| {name} | 1 | {100 * row['miou']:.2f} |" in card  # of so few images there is no interval
    for text in ("protocol voc", "95 % intervals", results["fingerprint"]["val"][:12], "decay 0.5", "random weights"):
        assert text in card, text
    assert card.startswith("---\n") and yaml.safe_load(card.split("---")[1])["pipeline_tag"] == "image-segmentation"


def test_a_training_starts_from_it(shared):
    cwd, _ = shared
    chosen = config(*TINY)
    network, names = build.network(chosen), [*as_dict(chosen.data)["classes"]]
    loaded = load(network, str(cwd / "shared"), names)
    found = safetensors.load_file(cwd / "shared/model.safetensors")
    assert all(torch.equal(value, found[key]) for key, value in network.state_dict().items())
    assert loaded.summary.startswith("backbone and classifier from") and "new" not in loaded.summary


def test_it_can_be_exported_again(shared):
    cwd, _ = shared
    run("export", "run=shared", "format=folder", "output=second", cwd=cwd)
    first, second = (safetensors.load_file(cwd / name / "model.safetensors") for name in ("shared", "second"))
    assert first.keys() == second.keys() and all(torch.equal(value, second[key]) for key, value in first.items())
    assert (cwd / "second/config.yaml").read_text() == (cwd / "shared/config.yaml").read_text()
    (cwd / "model.onnx").touch()
    told = run("export", "run=shared", "format=folder", "output=model.onnx", cwd=cwd, status=1)
    assert told.stderr.startswith("error: model.onnx: File exists; choose another place")
    told = run("export", "run=shared", "format=folder", "output=shared", cwd=cwd, status=1)
    assert "choose another one" in told.stderr


def put(name, text):
    return lambda folder: (folder / name).write_text(text)


def edit(name, change):
    def edited(folder):
        content = yaml.safe_load((folder / name).read_text())
        change(content)
        (folder / name).write_text(yaml.safe_dump(content, sort_keys=False))

    return edited


STRANGE = {
    "code in the config": put("config.yaml", "seglab: !!python/object/apply:os.system [touch ran]"),
    "code in the classes": put("classes.yaml", "names: !!python/object/apply:os.getcwd []"),
    "an import path": edit("config.yaml", lambda c: c["seglab"]["config"]["loss"].update(_target_="os.system")),
    "another head": edit("config.yaml", lambda c: c["seglab"]["config"]["head"].update(name="deeplabv3")),
    "wrong numbers": edit("config.yaml", lambda c: c["seglab"]["normalization"].update(std=[0.0, 1.0, 1.0])),
    "other classes": edit("classes.yaml", lambda c: c["names"].reverse()),
    "a list": put("classes.yaml", "[1, 2]"),
    "no config": lambda folder: (folder / "config.yaml").unlink(),
    "damaged weights": lambda folder: (folder / "model.safetensors").write_bytes(b"\x10" + bytes(40)),
    "a pickle": lambda folder: torch.save({"a": torch.zeros(1)}, folder / "model.safetensors"),
}


@pytest.mark.parametrize("name", STRANGE)
def test_what_a_stranger_has_changed_is_told_and_runs_no_code(shared, tmp_path, name):
    cwd, _ = shared
    folder = tmp_path / "strange"
    shutil.copytree(cwd / "shared", folder)
    STRANGE[name](folder)
    done = run("evaluate", f"run={folder}", f"data.root={cwd}/data/elsewhere", cwd=tmp_path, status=1)
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1 and "strange" in done.stderr
    assert not (tmp_path / "ran").exists()


def test_a_folder_that_is_neither_is_named(tmp_path):
    with pytest.raises(InputError, match=r"without best.ckpt or model.safetensors"):
        load(build.network(config(*TINY)), str(tmp_path), ["a"])
