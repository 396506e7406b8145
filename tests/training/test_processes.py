"""Two processes score as one does, image by image, and leave one run folder."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import nullcontext

import numpy as np
import pytest
import torch

from src.core import processes
from src.core.command.entry import is_main
from src.core.errors import InputError
from src.models.inference import PLAIN
from src.runs.checks.trainer import check_launcher
from src.scoring.scorer import VariantScorer
from src.scoring.variants import Variant
from tests.conftest import HANGS, SAMPLE, TINY, config, environment, run, warm_run
from tests.scoring.conftest import made_sample

SHAPES = [word for word in TINY if word.startswith("data")]
PLUGIN = next(word for word in TINY if word.startswith("plugins="))  # a command of its own does not have it yet
TWO = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"]


def counts(folder):
    return {name: np.load(folder / name) for name in ("confusion.npz", "trimap.npz", "boundary.npz")}


def test_a_training_shared_by_two_processes_leaves_one_run(tmp_path):
    done = warm_run("train", *TINY, *TWO, "recipe.epochs=1", "variants=fusion", "panels=2", "name=two", cwd=tmp_path)
    folder = tmp_path / "runs" / "two"
    assert (
        done.stdout.count("machine ") == 1
        and "2 cpu" in done.stdout
        and "4 images a step, 2 in each" in done.stdout
        and done.stdout.count("run folder") == 1
    )
    assert len((folder / "metrics.csv").read_text().splitlines()) == 2
    assert json.loads((folder / "results.json").read_text())["images"] == 3
    assert len(list((folder / "panels").glob("*.png"))) == 2
    assert len(list((folder / "panels" / "extremes").iterdir())) == 14

    warm_run("evaluate", "run=runs/two", "panels=0", "output=one", cwd=tmp_path)
    shared, alone = counts(folder), counts(tmp_path / "one")
    for file, arrays in shared.items():
        assert arrays.files == alone[file].files
        assert all((arrays[name] == alone[file][name]).all() for name in arrays.files)


def alone(words, **options):
    """A command of several processes, as a user starts it."""
    return run("train", *TINY, *words, "recipe.epochs=1", "variants=none", "panels=0", "name=net", **options)


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize(("kind", "says"), [("infinite", "loss of step 1 in epoch 0"), ("memory", "try half as many")])
def test_what_goes_wrong_in_one_process_ends_all_with_its_sentence(tmp_path, kind, says, rank):
    loss = ["loss.name=failing", f"+loss.kind={kind}", f"+loss.rank={rank}", "+loss.step=1"]
    done = alone([*TWO, *loss], cwd=tmp_path, status=1)
    failed = (tmp_path / "runs" / "net" / "failed.txt").read_text()
    assert says in failed and says in done.stderr and "Traceback" not in done.stderr
    if kind == "infinite":
        own = failed.partition("images: ")[2].partition(";")[0].split(", ")
        assert len(own) == 2 and done.stderr.count("error:") == 1


@pytest.mark.slow
def test_a_lost_process_ends_the_others_with_a_sentence(tmp_path):
    words = [*TINY, *TWO, "recipe.epochs=400", "variants=none", "panels=0", "name=net"]
    command = [sys.executable, "-m", "src.train", *words]
    process = subprocess.Popen(command, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while not (tmp_path / "runs" / "net" / "last.ckpt").exists() and process.poll() is None:
        time.sleep(0.05)
    (other,) = subprocess.run(["pgrep", "-P", str(process.pid), "-f", "src.train"], capture_output=True).stdout.split()
    os.kill(int(other), signal.SIGKILL)
    _, errors = process.communicate()
    assert process.returncode == 1 and b"Traceback" not in errors
    assert b"error: another of the processes that share this work was lost" in errors


def torchrun(module, *words, cwd):
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", f"src.{module}", *words]
    return subprocess.run(command, cwd=cwd, env=environment(), capture_output=True, text=True, timeout=HANGS)


@pytest.mark.slow
def test_torchrun_is_one_training_and_others_are_told(tmp_path):
    words = [*TINY, "trainer.accelerator=cpu", "recipe.epochs=1", "variants=none", "panels=0"]
    done = torchrun("train", *words, "trainer=ddp", "name=net", cwd=tmp_path)
    assert done.returncode == 0 and done.stdout.count("epoch 0/0") == 1, done.stderr
    assert len((tmp_path / "runs" / "net" / "metrics.csv").read_text().splitlines()) == 2
    for wrong in ([], ["trainer=ddp", "trainer.devices=4"]):
        done = torchrun("train", *words, *wrong, "name=other", cwd=tmp_path)
        assert done.returncode == 1 and "torchrun has started 2 processes" in done.stderr
    assert not (tmp_path / "runs" / "other").exists()


@pytest.mark.slow
def test_a_sweep_of_shared_trainings_writes_each_run_once(tmp_path):
    run("train", "-m", *TINY, *TWO, "recipe.epochs=2", "variants=none", "panels=0", "seed=1,2", cwd=tmp_path)
    folders = [path for path in (tmp_path / "runs").iterdir() if path.name != "sweeps"]
    assert len(folders) == 2
    for folder in folders:
        assert len((folder / "metrics.csv").read_text().splitlines()) == 3
        assert (folder / "log.txt").read_text().count("run folder") == 1 and (folder / "results.json").exists()


@pytest.mark.slow
def test_kept_logits_are_made_and_scored_by_all(tmp_path):
    """Three processes, of which a batch of four for training would not be a multiple."""
    alone([], cwd=tmp_path)
    words = [PLUGIN, "run=runs/net", *TWO[:-1], "trainer.devices=3", "keep_logits=kept", "panels=0"]
    done = run("evaluate", *words, "output=three", cwd=tmp_path)
    assert re.search(r"Predicting .* 1/1", done.stdout) and re.search(r"Testing .* 1/1", done.stdout)
    first = {path.name: path.read_bytes() for path in (tmp_path / "kept").glob("*.npz")}
    assert len(first) == 3
    (tmp_path / "kept" / sorted(first)[1]).unlink()
    run("evaluate", *words, "output=less", cwd=tmp_path)  # fewer are missing than there are processes
    assert {path.name: path.read_bytes() for path in (tmp_path / "kept").glob("*.npz")} == first
    run("evaluate", "logits=kept", *SHAPES, "output=one", "panels=0", cwd=tmp_path)
    for name in ("three", "less"):
        shared, whole = counts(tmp_path / name), counts(tmp_path / "one")
        for file, arrays in shared.items():
            assert all((arrays[key] == whole[file][key]).all() for key in set(arrays.files) & set(whole[file].files))


@pytest.mark.slow
def test_torchrun_evaluates_into_a_new_folder(tmp_path):
    alone([], cwd=tmp_path)
    for number in range(3):
        words = ["trainer=ddp", "trainer.accelerator=cpu", f"output=new/{number}", "panels=2"]
        done = torchrun("evaluate", PLUGIN, "run=runs/net", *words, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "new").glob("*/results.json"))) == 3


@pytest.mark.slow
def test_a_shared_training_of_averaged_weights_resumes_to_the_same_digits(tmp_path):
    words = [*TINY, *TWO, "recipe.epochs=4", "recipe.val_every=4", "recipe.ema=0.5", "variants=none", "panels=0"]
    run("train", *words, "name=whole", cwd=tmp_path)
    metrics = tmp_path / "runs" / "killed" / "metrics.csv"
    warm_run("train", *words, "name=killed", cwd=tmp_path, status=-9, deadly=[str(metrics), 3])
    done = run("train", *words, "name=killed", cwd=tmp_path)
    assert "resuming" in done.stdout
    whole, killed = (
        torch.load(tmp_path / "runs" / name / "last.ckpt", weights_only=True) for name in ("whole", "killed")
    )
    for part in ("state_dict", "current_model_state"):
        assert all(torch.equal(value, killed[part][key]) for key, value in whole[part].items())


@pytest.mark.slow
@pytest.mark.skipif(not (SAMPLE / "voc2012_sample").is_dir(), reason="the sample of VOC2012 is not there")
def test_two_processes_count_the_real_sample_as_one_does_bit_for_bit(tmp_path):
    words = [*TINY, "data=voc2012", f"data.root={SAMPLE / 'voc2012_sample'}", "data.expected=null", "name=net"]
    words = [word for word in words if not word.startswith(("data.prepare", "data=shapes", "crf="))]
    run("train", *words, "recipe.epochs=1", "variants=none", "panels=0", cwd=tmp_path)
    for name, several in (("one", []), ("two", TWO)):
        run("evaluate", PLUGIN, "run=runs/net", *several, "variants=fusion", f"output={name}", cwd=tmp_path)
    shared, alone = counts(tmp_path / "two"), counts(tmp_path / "one")
    assert len(alone["confusion.npz"]["ids"]) == 40
    for file, arrays in shared.items():
        assert all((arrays[name] == alone[file][name]).all() for name in arrays.files)


def stacks(scorer):
    return scorer.matrices, scorer.trimaps, scorer.boundaries


@pytest.mark.parametrize("world", [2, 3, 7])
def test_what_processes_scored_is_put_together_in_the_order_of_the_list(world, monkeypatch):
    images = {f"image{i}": made_sample(i) for i in range(7)}

    def score(names):
        with VariantScorer({"none": Variant()}, 4, None) as scorer:
            for name in names:
                logits, rgb, target = images[name]
                scorer.add(name, {PLAIN: logits.softmax(0)}, rgb, target)
        return scorer

    whole = score(images)
    whole.finish()
    parts = [score(list(images)[rank::world]) for rank in range(world)]
    everyone = [(part.ids, *(stack.images for stack in stacks(part))) for part in parts]
    monkeypatch.setattr(processes, "gather", lambda thing: everyone if len(thing) == 4 else [thing])
    parts[0].finish()
    assert parts[0].ids == list(images)
    for one, other in zip(stacks(parts[0]), stacks(whole), strict=True):
        assert (one["none"] == other["none"]).all()


def test_an_image_scored_twice_is_an_error(monkeypatch):
    with VariantScorer({"none": Variant()}, 4, None) as scorer:
        logits, rgb, target = made_sample(0)
        scorer.add("image", {PLAIN: logits.softmax(0)}, rgb, target)
    part = (scorer.ids, *(stack.images for stack in stacks(scorer)))
    monkeypatch.setattr(processes, "gather", lambda _: [part, part])
    with pytest.raises(RuntimeError, match="twice"):
        scorer.finish()


@pytest.mark.parametrize(
    ("words", "environment", "main"),
    [
        ([], {"SLURM_PROCID": "3"}, True),  # independent runs within one allocation
        (["trainer=ddp"], {}, True),
        (["trainer=ddp"], {"LOCAL_RANK": "1"}, False),
        (["trainer=ddp"], {"LOCAL_RANK": "0", "NODE_RANK": "1"}, False),
        (["trainer=ddp"], {"RANK": "4", "LOCAL_RANK": "0"}, False),
        (["trainer=slurm", "trainer.devices=4"], {"SLURM_PROCID": "3"}, False),
    ],
)
def test_one_process_writes(words, environment, main, monkeypatch):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert is_main(config(*words)) is main


@pytest.mark.parametrize(
    ("words", "started", "says"),
    [
        (["trainer=ddp"], {"LOCAL_WORLD_SIZE": "4", "WORLD_SIZE": "4"}, None),
        (["trainer=ddp", "trainer.nodes=2"], {"LOCAL_WORLD_SIZE": "4", "WORLD_SIZE": "8"}, None),
        (["trainer=ddp"], {"LOCAL_WORLD_SIZE": "4", "WORLD_SIZE": "8"}, "trainer.nodes=N"),
        ([], {"LOCAL_WORLD_SIZE": "2", "WORLD_SIZE": "2"}, "use trainer=ddp"),
        ([], {"SLURM_NTASKS": "4"}, None),  # one of several runs in an allocation
        (["trainer=slurm"], {"SLURM_NTASKS": "8", "SLURM_NTASKS_PER_NODE": "4", "SLURM_JOB_NUM_NODES": "2"}, None),
        (["trainer=slurm"], {"SLURM_NTASKS": "2"}, "--ntasks-per-node"),
    ],
)
def test_the_trainer_is_of_the_processes_that_a_launcher_has_started(words, started, says, monkeypatch):
    for name, value in started.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=says) if says else nullcontext():
        check_launcher(config(*words).trainer)
