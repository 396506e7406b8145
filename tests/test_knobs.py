"""Options of the training loop do what they say."""

import csv
import json

import pytest
import torch

from src import build
from src.task import _freeze
from tests.conftest import TINY
from tests.conftest import warm_run as run
from tests.test_config import CPU, config

SHORT = [*TINY, "recipe.epochs=2", "variants=none", "panels=0"]


@pytest.fixture(scope="module")
def averaged(tmp_path_factory):
    """A finished run of two epochs; the two batches of each are one step of the optimiser."""
    cwd = tmp_path_factory.mktemp("knobs")
    options = ["recipe.ema=0.9", "recipe.gradient_clip=0.1", "recipe.accumulate=2", "recipe.epochs=2"]
    run("train", *SHORT, *options, "name=ema", cwd=cwd)
    return cwd


def test_an_average_of_the_weights_is_what_is_scored(averaged):
    saved = torch.load(averaged / "runs" / "ema" / "last.ckpt", weights_only=True)
    key = "network.classifier.last.weight"
    assert not torch.equal(saved["state_dict"][key], saved["current_model_state"][key])
    assert saved["global_step"] == 2
    run("evaluate", "run=runs/ema", "panels=0", "output=again", cwd=averaged)
    first, again = (json.loads((averaged / p / "results.json").read_text()) for p in ("runs/ema", "again"))
    assert first["variants"] == again["variants"]


def test_a_loss_that_is_no_number_ends_the_training_and_keeps_the_last_good_checkpoint(averaged):
    state = torch.load(averaged / "runs" / "ema" / "last.ckpt", weights_only=True)
    for group in state["optimizer_states"][0]["param_groups"]:
        group["lr"] = 1e30
    folder = averaged / "runs" / "diverging"
    folder.mkdir()
    torch.save(state, folder / "last.ckpt")
    before = (folder / "last.ckpt").read_bytes()
    done = run("train", *SHORT, "recipe.epochs=4", "name=diverging", cwd=averaged, status=1)
    assert "is not finite; its images are shapes_0" in done.stderr
    assert "diverging/last.ckpt holds the last whole epoch" in done.stderr
    assert (folder / "last.ckpt").read_bytes() == before and not (folder / "results.json").exists()


def test_what_the_time_allowed_is_scored_and_read_by_evaluate_and_report(tmp_path):
    words = [*SHORT, "name=short", "recipe.epochs=90", "recipe.val_every=45", "trainer.max_time=00:00:00:01"]
    done = run("train", *words, "trainer.profile=true", cwd=tmp_path)
    assert "of 90 epochs by trainer.max_time=00:00:00:01" in done.stdout
    with (tmp_path / "runs" / "short" / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert 0 < len(rows) < 45 and float(rows[0]["time/step"]) > 0 and "images/s" in done.stdout
    profile = tmp_path / "runs" / "short" / "profile"
    assert "aten::" in (profile / "operators.txt").read_text() and json.loads((profile / "trace.json").read_text())
    run("evaluate", "run=runs/short", "panels=0", cwd=tmp_path)
    run("report", "runs=runs/short", "resamples=100", cwd=tmp_path)
    assert (tmp_path / "reports").is_dir()


def test_training_ends_when_the_monitor_stalls(tmp_path):
    still = ["recipe.optimizer.lr=1e-30", "recipe.early_stopping=2", "recipe.epochs=40"]  # BatchNorm settles
    done = run("train", *SHORT, *still, "name=stalled", cwd=tmp_path)
    assert "of 40 epochs by recipe.early_stopping=2" in done.stdout


def test_frozen_norms_stay_and_the_rest_learns():
    task, _ = build.task(config("backbone=resnet18", "backbone.weights=none", "recipe=demo"), CPU, fingerprint={})
    pretrained = frozenset(name for name, _ in task.network.backbone.named_parameters(prefix="backbone"))
    task.frozen = _freeze(task.network, pretrained)
    assert len(task.frozen) == 20  # of ResNet-18
    task.train()
    task.on_train_batch_start({}, 0)
    for name, module in task.network.named_modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            is_ours = name in task.frozen
            assert is_ours == name.startswith("backbone") != module.training
            assert all(parameter.requires_grad != is_ours for parameter in module.parameters())
    assert task.network.backbone.training


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["recipe.accumulate=0"], "recipe.accumulate=0: must be a whole number of at least 1"),
        (["recipe.ema=1"], "a decay lies between 0 and 1"),
        (["recipe.freeze_batchnorm=true"], "needs pretrained weights"),
        (["trainer.devices=0"], "at least 1"),
        (["trainer.cache=-1"], "must be auto or GB"),
        (["+variants.x={inference:{scales:[0]}}"], "above 0"),
        (["+variants.x={inference:{windows:9}}"], "there is no such key; valid: scales, flip, window, overlap"),
        (["variants=tta", "keep_logits=true"], "need the network itself"),
        (["recipe.gradient_clip=1", "trainer.precision=16-mixed"], "recipe.optimizer.fused=false"),
        (["trainer.accelerator=cpu", "trainer.devices=3"], "must be a multiple of 3"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_wrong_options_say_what_is_right(words, says, tmp_path):
    done = run("train", *TINY, *words, cwd=tmp_path, status=1)
    assert says in done.stderr and "Traceback" not in done.stderr
