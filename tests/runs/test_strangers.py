"""A checkpoint or run folder from a stranger runs no code, follows no reference, and is refused in one sentence."""

import json
import shutil

import pytest
import torch
from omegaconf import OmegaConf

from src.core.compose import plain
from src.core.errors import InputError
from src.runs.checks.records import read_config
from tests.conftest import ROOT, TINY, run, warm_run

PLUGINS = [f"plugins={ROOT}/tests/tiny.py"]
SHORT = [*TINY, "recipe.epochs=1", "variants=none", "panels=0"]

# Each ran when configs held import paths: what is called, and with which arguments.
PAYLOADS = {
    "hub": ("backbone", {"_target_": "torch.hub.load", "repo_or_dir": "{here}", "model": "entry", "source": "local"}),
    "pickle": ("head", {"_target_": "torch.load", "f": "{here}/bomb.pkl", "weights_only": False}),
    "module": ("loss", {"_target_": "pathlib.Path.write_text", "self": "{here}/fired", "data": "x"}),
    "exec": ("data.prepare", {"_target_": "builtins.exec", "_args_": ["open('{here}/fired', 'w')"]}),
    "system": ("recipe.optimizer", {"_target_": "os.system", "command": "touch {here}/fired"}),
    "nested": ("loss", {"name": "combined", "terms": {"x": {"weight": 1, "loss": {"_target_": "os.abort"}}}}),
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    cwd = tmp_path_factory.mktemp("strangers")
    warm_run("train", *SHORT, "name=good", cwd=cwd)
    (cwd / "hubconf.py").write_text("def entry(**options):\n    open('fired', 'w')\n")
    return cwd


def edited(cwd, name, change):
    """A run folder whose stored configs were edited."""
    folder = cwd / "runs" / name
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(cwd / "runs" / "good", folder)
    for checkpoint in ("best.ckpt", "last.ckpt"):
        content = torch.load(folder / checkpoint, weights_only=True)
        change(content["seglab"]["config"])
        torch.save(content, folder / checkpoint)
    stored = OmegaConf.to_container(OmegaConf.load(folder / "config.yaml"), resolve=False)
    change(stored)
    (folder / "config.yaml").write_text(json.dumps(stored))  # which is YAML
    return folder


def planted(where, payload, here):
    filled = json.loads(json.dumps(payload).replace("{here}", str(here)))

    def change(config):
        *path, last = where.split(".")
        for key in path:
            config = config[key]
        config[last] = {**config[last], **filled}

    return change


@pytest.mark.parametrize("name", PAYLOADS)
def test_names_of_code_in_a_stored_config_are_refused_everywhere(name, trained):
    where, payload = PAYLOADS[name]
    folder = edited(trained, name, planted(where, payload, trained))
    path = f"runs/{name}"
    commands = [
        ("evaluate", f"checkpoint={path}/best.ckpt", f"{path}/best.ckpt"),
        ("evaluate", f"run={path}", f"{path}/best.ckpt"),
        ("tune", f"run={path}", f"{path}/best.ckpt"),
        ("train", f"resume={path}/last.ckpt", f"{path}/last.ckpt"),
        ("report", f"runs={path}", f"{path}/config.yaml"),
    ]
    for module, word, source in commands:
        more = [*SHORT, "recipe.epochs=2", "name=more"] if module == "train" else []
        done = warm_run(module, *more, word, cwd=trained, status=1)
        assert done.stderr.startswith(f"error: {source}: its config has the key ") and done.stderr.count("\n") == 1
    assert not (trained / "fired").exists() and folder.is_dir()


def test_what_is_no_name_in_a_table_is_refused(trained):
    def change(config):
        config["backbone"]["kind"] = "os.system"

    edited(trained, "unknown", change)
    done = warm_run("evaluate", "run=runs/unknown", cwd=trained, status=1)
    assert "runs/unknown/best.ckpt: its config cannot be used: backbone.kind=os.system: not one of" in done.stderr


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("data", {"name": "../../out"}, "data.name=../../out: must be at most 100 letters"),
        ("crf", {"name": "/out"}, "crf.name=/out: must be at most 100 letters"),
        ("recipe", {"protocol": "none"}, "recipe.protocol=none: not one of"),
        ("crf", {"iterations": -1}, "crf.iterations=-1"),
        ("plugins", ["os"], "plugins=['os']: must have keys"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_stored_configs_are_checked_as_typed_ones(key, value, says, trained):
    def change(config):
        config[key] = {**config[key], **value} if isinstance(value, dict) else value

    edited(trained, "checked", change)
    done = warm_run("evaluate", "run=runs/checked", cwd=trained, status=1)
    assert says in done.stderr and "runs/checked/best.ckpt" in done.stderr


def test_a_reference_in_a_stored_config_is_text(trained):
    def change(config):
        config["recipe"]["name"] = "${oc.env:SECRET}"
        config["plugins"]["${oc.env:SECRET}"] = "${oc.env:SECRET}"

    edited(trained, "secret", change)
    done = warm_run("evaluate", "run=runs/secret", *PLUGINS, cwd=trained, SECRET="hunter2")
    warm_run("report", "runs=runs/secret", "resamples=100", cwd=trained, SECRET="hunter2")
    written = [*(trained / "runs" / "secret").rglob("*.*"), *(trained / "reports").rglob("*.*")]
    texts = [done.stdout, *(file.read_text(errors="ignore") for file in written if file.is_file())]
    assert not any("hunter2" in text for text in texts) and any("oc.env:SECRET" in text for text in texts)


@pytest.mark.parametrize("text", ["${a}", r"\${a}", r"\\${a}", "$", "a${b}c${d}", r"C:\x", "${oc.env:HOME}"])
def test_text_of_a_stored_config_stays_what_it_is(text, tmp_path):
    run = {"data": {"name": "a", "root": "b"}, "crf": {}, "variants": {}, "trainer": {}}
    config = plain({"key": text, "list": [text], **run}, tmp_path)
    assert config.key == text and config.list[0] == text
    (tmp_path / "config.yaml").write_text(OmegaConf.to_yaml(config, resolve=True))
    assert read_config(tmp_path / "config.yaml").key == text


@pytest.mark.parametrize("content", [None, 3, [], {}, {"a": torch.zeros(1)}, {"a": {1.5: 2}}])
def test_what_is_no_config_is_named(content, tmp_path):
    with pytest.raises(InputError, match=r"x\.ckpt"):
        plain(content, tmp_path / "x.ckpt")


@pytest.mark.parametrize("change", [lambda one: torch.zeros(1), lambda one: torch.zeros(1).expand(one.shape)])
def test_a_state_that_does_not_fit_is_refused_before_a_fused_optimiser_writes_beyond_it(change, trained):
    folder = edited(trained, "state", lambda config: None)
    content = torch.load(folder / "last.ckpt", weights_only=True)
    for state in content["optimizer_states"][0]["state"].values():
        state["exp_avg"] = change(state["exp_avg"])
    torch.save(content, folder / "last.ckpt")
    words = [*SHORT, "recipe.epochs=2", "name=more", "resume=runs/state/last.ckpt"]
    done = warm_run("train", *words, cwd=trained, status=1)
    assert "resume=runs/state/last.ckpt: exp_avg of the optimiser's state does not fit" in done.stderr


@pytest.mark.slow
def test_paths_in_a_checkpoint_lead_nowhere(trained):
    victim = trained / "victim"
    victim.mkdir()
    (victim / "file").touch()
    folder = edited(trained, "paths", lambda config: config["recipe"].update(epochs=2))
    content = torch.load(folder / "last.ckpt", weights_only=True)
    for key, state in content["callbacks"].items():
        if "Epoch{" in key or "dirpath" in state:
            path = f"{folder}/../../victim"
            state |= {"dirpath": str(folder), "best_model_path": path, "kth_best_model_path": path}
            state["best_k_models"], state["last_model_path"] = {path: torch.tensor(0.0)}, path
    torch.save(content, folder / "last.ckpt")
    warm_run("train", *SHORT, "recipe.epochs=2", "name=on", f"resume={folder}/last.ckpt", cwd=trained)
    for file in ("results.json", "training.json"):
        (folder / file).unlink()
    warm_run("train", *SHORT, "recipe.epochs=2", "name=paths", cwd=trained)
    assert (victim / "file").exists() and (folder / "best.ckpt").exists()


def test_data_is_neither_made_nor_replaced_where_a_checkpoint_says(trained):
    def change(config):
        config["data"]["root"] = str(trained / "home")
        config["data"]["prepare"]["train"] = 4

    edited(trained, "elsewhere", change)
    done = warm_run("evaluate", "run=runs/elsewhere", cwd=trained, status=1)
    assert "name it on the command line (data=NAME or data.root=FOLDER)" in done.stderr
    assert not (trained / "home").exists()
    warm_run("evaluate", "run=runs/elsewhere", "data.root=here", "panels=0", cwd=trained)


PLUGIN = """
from torch import nn
from torch.nn.functional import cross_entropy

from src.scoring.fusion import RULES, most_probable
from src.models.tables import LOSSES


@LOSSES.add("scaled")
class Scaled(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, logits, target):
        return {"loss": self.factor * cross_entropy(logits, target, ignore_index=255)}


@RULES.add("second")
def second(before, after, *, share):
    return most_probable(before.lerp(after, share))
"""


@pytest.mark.slow
def test_a_loss_of_ones_own_trains_goes_on_and_is_scored_by_its_name(trained):
    (trained / "my_losses.py").write_text(PLUGIN)
    (trained / "scaled.yaml").write_text("name: scaled\nfactor: 2.0\n")
    words = [*(word for word in SHORT if not word.startswith(("plugins=", "backbone.kind="))), "name=own"]
    words += ["recipe.augment.crop=32", "loss=scaled.yaml", "plugins=my_losses.py"]
    warm_run("train", *words, cwd=trained)
    stored = read_config(trained / "runs" / "own" / "config.yaml")
    assert list(stored.plugins) == ["my_losses.py"] and len(stored.plugins["my_losses.py"]) == 12
    warm_run("train", *words, "recipe.epochs=2", "name=longer", "resume=runs/own/last.ckpt", cwd=trained)
    (trained / "elsewhere").mkdir()
    (trained / "elsewhere" / "other.py").write_text(PLUGIN)
    moved = [*words[:-1], "plugins=elsewhere/other.py"]
    assert "done already" in warm_run("train", *moved, cwd=trained).stdout  # known by its content
    rule = ["+variants.x={guidance: raw, fusion: second, options: {share: 0.3}}", "panels=0"]
    warm_run("evaluate", "run=runs/own", "plugins=my_losses.py", *rule, cwd=trained)
    warm_run("evaluate", "run=runs/own", "panels=0", cwd=trained)  # scoring needs no loss
    for more in ([], ["name=longer", "recipe.epochs=2"]):
        done = warm_run("train", *words[:-1], *more, cwd=trained, status=1)
        assert (
            "loss.name=scaled: the name came from a plugin that is not loaded: add plugins=my_losses.py" in done.stderr
        )


@pytest.mark.slow
def test_a_network_of_ones_own_is_scored_only_with_its_plugin(trained):
    done = run("evaluate", "run=runs/good", cwd=trained, status=1)
    assert "best.ckpt: its config cannot be used: backbone.kind=tiny: the name came from a plugin" in done.stderr
    assert f"add plugins={ROOT}/tests/tiny.py" in done.stderr
    warm_run("evaluate", "run=runs/good", *PLUGINS, "panels=0", cwd=trained)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("1 +", "cannot be imported (SyntaxError"),
        ("raise RuntimeError('no')", "cannot be imported (RuntimeError: no)"),
        ("raise SystemExit(0)", "cannot be imported (SystemExit: 0)"),
        ("from src.models.tables import LOSSES\nLOSSES.add('focal')(print)", "loss.name=focal: this name is taken"),
    ],
    ids=["syntax", "error", "exit", "taken"],
)
def test_plugins_that_cannot_be_used_are_named(content, says, tmp_path):
    (tmp_path / "mine.py").write_text(content)
    done = warm_run("train", "plugins=mine.py", "data=shapes", cwd=tmp_path, status=1)
    assert says in done.stderr and "Traceback" not in done.stderr
