"""Options of the training loop do what they say."""

import csv
import json
import shutil

import numpy as np
import pytest
import torch

from src.core.errors import InputError
from src.models.batchnorm import freeze
from src.runs.checks.commands import check_train
from src.training import recipe
from tests.conftest import CPU, TINY, config
from tests.conftest import warm_run as run

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


@pytest.mark.slow
def test_a_crf_in_torch_is_exact_though_the_network_runs_in_bfloat16(averaged):
    for engine in ("torch", "numba"):
        words = [f"crf.engine={engine}", "trainer.precision=bf16-mixed", "variants=standard", f"output={engine}"]
        run("evaluate", "run=runs/ema", *words, "panels=0", cwd=averaged)
    found, exact = (np.load(averaged / engine / "confusion.npz") for engine in ("torch", "numba"))
    assert all(np.abs(found[name] - exact[name]).sum() <= 4 for name in exact.files if name != "ids")  # ties


def test_a_loss_that_is_no_number_ends_the_training_and_keeps_the_last_good_checkpoint(averaged):
    loss = ["loss.name=failing", "+loss.kind=infinite", "+loss.rank=0", "+loss.step=3"]  # in the second epoch
    done = run("train", *SHORT, *loss, "recipe.epochs=4", "name=diverging", cwd=averaged, status=1)
    folder = averaged / "runs" / "diverging"
    assert "is not finite; images: shapes_0" in done.stderr
    assert "diverging/last.ckpt holds the last good epoch" in done.stderr
    assert torch.load(folder / "last.ckpt", weights_only=True)["epoch"] == 0
    assert not (folder / "results.json").exists()


def test_weights_that_are_no_numbers_are_not_kept(tmp_path):
    words = [*SHORT, "data.train_limit=4", "recipe.optimizer.lr=1e30", "name=blown"]  # one step an epoch
    done = run("train", *words, cwd=tmp_path, status=1)
    assert "the weights after epoch 0 are not finite" in done.stderr
    assert not [*(tmp_path / "runs" / "blown").glob("*.ckpt")]


def test_an_image_too_large_to_be_validated_is_named(tmp_path):
    loss = ["loss.name=failing", "+loss.kind=validation", "+loss.rank=0", "+loss.step=99"]
    done = run("train", *SHORT, *loss, "name=large", cwd=tmp_path, status=1)
    assert "out of memory with image shapes_000000 (" in done.stderr and "Traceback" not in done.stderr


def test_an_average_goes_on_as_one(averaged):
    words = [*SHORT, "name=raw", "resume=runs/ema/last.ckpt", "recipe.epochs=3"]
    done = run("train", *words, cwd=averaged, status=1)
    assert "only goes on with recipe.ema=0.9" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("planted", [0.99, -1.0])
def test_the_best_of_a_run_that_is_gone_on_from_may_stay_the_best(averaged, planted):
    source = averaged / "runs" / f"planted{planted}"
    shutil.copytree(averaged / "runs" / "ema", source)
    best = torch.load(source / "best.ckpt", weights_only=True)
    (state,) = [state for key, state in best["callbacks"].items() if key.startswith("BestEpoch")]
    state["best_model_score"] = torch.tensor(planted)
    torch.save(best, source / "best.ckpt")
    words = [*SHORT, "recipe.ema=0.9", "recipe.epochs=3", f"resume={source}/last.ckpt"]
    done = run("train", *words, f"name=longer{planted}", cwd=averaged)
    longer = json.loads((averaged / "runs" / f"longer{planted}" / "results.json").read_text())["monitor"]
    if planted > 0:
        run_of_best = longer.pop("adopted")
        assert longer == {"key": "val/miou", "value": pytest.approx(planted), "epoch": best["epoch"]}
        (averaged / "runs" / f"longer{planted}" / "results.json").unlink()  # as a kill in scoring leaves it
        again = run("train", *words, f"name=longer{planted}", cwd=averaged)
        assert "epoch 2/2" not in again.stdout and len(run_of_best) == 8
    else:
        assert longer["epoch"] == 2 and longer["value"] >= 0
    assert "epoch 2/2" in done.stdout


def test_the_best_of_other_images_does_not_count(averaged):
    words = [*SHORT, "recipe.ema=0.9", "recipe.epochs=3", "data.prepare.seed=9", "data.root=elsewhere"]
    done = run("train", *words, "resume=runs/ema/last.ckpt", "name=other", cwd=averaged)
    assert "its best epoch does not count" in done.stdout
    other = json.loads((averaged / "runs" / "other" / "results.json").read_text())
    assert other["monitor"]["epoch"] == 2


@pytest.mark.slow
def test_a_run_that_began_elsewhere_goes_on_from_its_own_last_epoch(averaged):
    folder = averaged / "runs" / "moved"
    words = [*SHORT, "recipe.ema=0.9", "recipe.epochs=30", "resume=runs/ema/last.ckpt", "name=moved"]
    run("train", *words, cwd=averaged, status=-9, deadly=[str(folder / "metrics.csv"), 4])
    done = run("train", *words, cwd=averaged)
    assert "of runs/moved/last.ckpt" in done.stdout


@pytest.mark.slow
def test_a_resume_may_ask_for_more_patience(tmp_path):
    still = [*SHORT, "recipe.optimizer.lr=1e-30", "recipe.monitor=val/pixel_accuracy"]
    run("train", *still, "recipe.early_stopping=1", "recipe.epochs=40", "name=short", cwd=tmp_path)
    first = json.loads((tmp_path / "runs" / "short" / "training.json").read_text())["training"]
    more = ["recipe.early_stopping=100", f"recipe.epochs={first['steps'] // 2 + 6}", "resume=runs/short/last.ckpt"]
    run("train", *still, *more, "name=long", cwd=tmp_path)
    second = json.loads((tmp_path / "runs" / "long" / "training.json").read_text())["training"]
    assert first["stopped"] == "recipe.early_stopping=1" and second["stopped"] is None


def test_the_last_epoch_is_validated_whatever_lies_between(tmp_path):
    run("train", *SHORT, "recipe.epochs=3", "recipe.val_every=2", "name=odd", "trainer.profile=true", cwd=tmp_path)
    with (tmp_path / "runs" / "odd" / "metrics.csv").open(newline="") as file:
        assert [bool(row["val/miou"]) for row in csv.DictReader(file)] == [False, True, True]
    profile = tmp_path / "runs" / "odd" / "profile"
    assert "aten::" in (profile / "operators.txt").read_text() and json.loads((profile / "trace.json").read_text())


@pytest.mark.slow
def test_what_the_time_allowed_is_scored_and_read_by_evaluate_and_report(tmp_path):
    words = [*SHORT, "name=short", "recipe.epochs=90", "recipe.val_every=45", "trainer.max_time=00:00:00:01"]
    done = run("train", *words, cwd=tmp_path)
    assert "of 180 steps by trainer.max_time=00:00:00:01" in done.stdout
    with (tmp_path / "runs" / "short" / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert 0 < len(rows) < 45 and rows[-1]["val/miou"]  # validated when it stopped
    assert float(rows[0]["time/step"]) > 0 and "images/s" in done.stdout
    first = json.loads((tmp_path / "runs" / "short" / "results.json").read_text())
    assert first["training"]["stopped"] == "trainer.max_time=00:00:00:01"
    (tmp_path / "runs" / "short" / "results.json").unlink()  # as if killed while it was scored
    again = run("train", *words, cwd=tmp_path)
    assert "epoch " not in again.stdout.partition("stopped ")[0] and "of 180 steps" in again.stdout
    assert json.loads((tmp_path / "runs" / "short" / "results.json").read_text())["variants"] == first["variants"]
    run("evaluate", "run=runs/short", "panels=0", cwd=tmp_path)
    run("report", "runs=runs/short", "resamples=100", cwd=tmp_path)
    assert (tmp_path / "reports").is_dir()


def test_training_ends_when_the_monitor_stalls(tmp_path):
    still = ["recipe.optimizer.lr=1e-30", "recipe.early_stopping=2", "recipe.epochs=40"]  # BatchNorm settles
    done = run("train", *SHORT, *still, "name=stalled", cwd=tmp_path)
    assert "of 80 steps by recipe.early_stopping=2" in done.stdout


@pytest.mark.slow
def test_a_compiled_network_trains_and_is_saved_as_it_is(averaged):
    run("train", *SHORT, "trainer.compile=true", "recipe.ema=0.9", "name=compiled", cwd=averaged)
    compiled, plain = (
        torch.load(averaged / "runs" / name / "best.ckpt", weights_only=True)["state_dict"]
        for name in ("compiled", "ema")
    )
    assert compiled.keys() == plain.keys()
    run("evaluate", "run=runs/compiled", "panels=0", "output=of_compiled", cwd=averaged)


def test_frozen_norms_stay_and_the_rest_learns():
    task, _ = recipe.task(config("backbone=resnet18", "backbone.weights=none", "recipe=demo"), CPU, fingerprint={})
    pretrained = frozenset(name for name, _ in task.network.backbone.named_parameters(prefix="backbone"))
    task.frozen = freeze(task.network, pretrained)
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
    ("word", "says"),
    [
        ("recipe.accumulate=0", "whole number from 1 to"),
        ("recipe.ema=1", "between 0 and 1"),
        ("recipe.gradient_clip=inf", "a number between 0 and"),
        ("recipe.early_stopping=abc", "whole number"),
        ("recipe.early_stopping=0", "from 1 to"),
        ("recipe.optimizer.lr=nan", "between 0 and 1e"),
        ("recipe.optimizer.fused=maybe", "true or false"),
        ("recipe.optimizer.weight_decay=-1", "from 0 to"),
        ("recipe.scheduler.factor=1", "between 0 and 1"),
        ("recipe.new_layers_lr_factor=-1", "between 0 and"),
        ("recipe.augment.scale=1", "list of 2 values"),
        ("recipe.augment.scale=[2,1]", "lies above"),
        ("recipe.augment.flip=often", "from 0 to 1"),
        ("recipe.augment.squash=maybe", "true or false"),
        ("recipe.optimizer.name=Adan", "not one of SGD, Adam"),
        ("recipe.scheduler.name=Poly", "not one of ReduceLROnPlateau"),
        ("+recipe.augment.jitter.foo=0.1", "no such key"),
        ("recipe.augment.jitter=null", "must have parts"),
        ("recipe.scheduler=5", "must have parts"),
        ("~recipe.optimizer.lr", "is missing"),
        ("trainer.max_time=''", "DD:HH:MM:SS"),
        ("recipe.freeze_batchnorm=true", "needs pretrained weights"),
        ("trainer.devices=0", "from 1 to 64, or auto"),
        ("trainer.cache=-1", "from 0 to"),
        ("trainer.cache=inf", "from 0 to"),
        ("trainer.channels_last=maybe", "true or false"),
        ("trainer.max_time=00:00:00:00", "above 0"),
        ("+variants.x={inference:5}", "must have parts"),
        ("+variants.x={inference:{scales:[0]}}", "from 0.05 to 8"),
        ("+variants.x={inference:{scales:[true]}}", "from 0.05 to 8"),
        ("+variants.x={inference:{windows:9}}", "there is no such key; valid: scales, flip, window, overlap"),
        ("+variants.x={inference:{overlap:0.5}}", "window"),
        ("+variants.x={inference:{window:64,overlap:0.99}}", "from 0 to 0.9"),
    ],
)
def test_wrong_values_say_what_is_right(word, says):
    with pytest.raises(InputError, match=says):
        check_train(config("backbone.weights=none", word))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("loss=focal loss.gamma=abc", r"loss\.gamma=abc: must be a number of at least 0"),
        ("loss=focal loss.gamma=nan", r"loss\.gamma=nan: must be a finite number"),
        ("loss.class_weights=[1,2]", "list of 21 numbers"),
        ("loss.class_weights=1", "list of 21 numbers"),
        (f"loss.class_weights={[0] * 21}", "all are 0"),
        (f"loss.class_weights={[1] * 20 + [-1]}", r"loss\.class_weights\[20\]=-1: must be a number of at least 0"),
        (f"loss=focal loss.class_weights={['inf'] * 21}", r"class_weights\[0\]=inf"),
        ("loss=combined loss.terms=null", "at least one term"),
        ("loss=combined loss.terms=5", "at least one term"),
        ("loss.name=combined +loss.terms={}", "at least one term"),
        ("loss=combined loss.terms.dice=5", "a weight and a loss"),
        ("loss=combined loss.terms.dice.weight=-1", r"loss\.terms\.dice\.weight=-1: must be a number of at least 0"),
        ("loss=combined loss.terms.dice.weight=abc", "must be a number"),
        ("loss=combined loss.terms.dice.weight=0 loss.terms.cross_entropy.weight=0", "all weights are 0"),
        ("loss=combined loss.terms.dice.loss=dice", "such as {name: dice}"),
        ("loss=combined loss.terms.dice.loss.name=dise", "loss.name=dise: not one of combined"),
        ("loss=combined +loss.terms.loss={weight:1,loss:{name:dice}}", '"loss" is the sum\'s'),
        (
            "loss=combined loss.terms.cross_entropy.loss.class_weights=x",
            r"cross_entropy\.loss\.class_weights=x: must be",
        ),
    ],
)
def test_losses_that_can_teach_nothing_are_refused(words, says):
    with pytest.raises(InputError, match=says):
        check_train(config("backbone.weights=none", *words.replace(", ", ",").split()))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["variants=tta", "keep_logits=true"], "need the network itself"),
        (["recipe.gradient_clip=1", "trainer.precision=16-mixed"], "recipe.optimizer.fused=false"),
        (["trainer.accelerator=cpu", "trainer.precision=16-mixed"], "needs a CUDA device"),
        (["trainer.accelerator=cpu", "trainer.devices=3"], "must be a multiple of 3"),
        (["trainer=ddp", "trainer.accelerator=cpu"], "give a number"),
        (["+recipe.optimizer.betas=3"], "recipe.optimizer: "),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_wrong_combinations_say_what_is_right(words, says, tmp_path):
    done = run("train", *TINY, *words, cwd=tmp_path, status=1)
    assert says in done.stderr and "Traceback" not in done.stderr
