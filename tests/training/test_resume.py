"""Nothing is lost or mixed when a training ends too early, wherever that is, and goes on."""

import csv
import resource
import shutil
import signal

import pytest
import torch
from omegaconf import OmegaConf

from src.core.errors import InputError, Interrupted
from src.models.checkpoint.writing import WholeFiles
from src.runs.folder import RunFolder
from src.runs.state import starting_point, state
from tests.conftest import TINY, config
from tests.conftest import warm_run as run
from tests.training.test_train import outcome

SHORT = [*TINY, "recipe.epochs=3", "variants=none", "panels=0"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A working folder with one finished run of three epochs."""
    cwd = tmp_path_factory.mktemp("resume")
    run("train", *SHORT, "name=whole", cwd=cwd)
    return cwd


def unfinished(cwd, name, *, epochs=2):
    """A run folder as a kill after so many epochs leaves it."""
    folder = RunFolder(cwd / "runs" / name)
    shutil.copytree(cwd / "runs" / "whole", folder.path)
    for file in (folder.results, folder.ending, folder.confusion, folder.trimaps, folder.last):
        file.unlink()
    words = [word for word in SHORT if not word.startswith("recipe.epochs")]
    run("train", *words, f"recipe.epochs={epochs}", "name=part", "overwrite=true", cwd=cwd)
    part = RunFolder(cwd / "runs" / "part")
    for ours, theirs in ((folder.last, part.last), (folder.best, part.best)):
        content = torch.load(theirs, weights_only=True)
        content["seglab"]["config"]["recipe"]["epochs"] = 3
        torch.save(content, ours)
    rows = folder.metrics.read_text().splitlines(keepends=True)
    folder.metrics.write_text("".join(rows[: epochs + 1]))
    return folder


def rates(path):
    content = torch.load(path, weights_only=True)
    return [(group["lr"], group["weight_decay"]) for group in content["optimizer_states"][0]["param_groups"]]


def test_a_resume_with_another_recipe_uses_its_rates_and_schedule(whole):
    poly = ["recipe.scheduler.name=PolynomialLR", "~recipe.scheduler.factor", "~recipe.scheduler.patience"]
    words = [word for word in SHORT if "scheduler" not in word and "epochs" not in word and "lr=" not in word]
    more = [*words, *poly, "+recipe.scheduler.power=1", "recipe.epochs=30", "recipe.optimizer.lr=0.03"]
    words = [*more, "recipe.optimizer.weight_decay=0.1", "resume=runs/whole/last.ckpt", "name=poly"]
    run("train", *words, cwd=whole, status=-9, deadly=[whole / "runs" / "poly" / "metrics.csv", 3])
    content = torch.load(whole / "runs" / "poly" / "last.ckpt", weights_only=True)
    done = content["lr_schedulers"][0]["last_epoch"]
    assert done == content["global_step"] > 6 and content["lr_schedulers"][0]["total_iters"] == 60
    assert rates(whole / "runs" / "poly" / "last.ckpt") == [(pytest.approx(0.03 * (1 - done / 60)), 0.1)]


def test_a_plateau_keeps_how_often_it_has_lowered_the_rate(whole):
    source = whole / "runs" / "lowered"
    shutil.copytree(whole / "runs" / "whole", source)
    content = torch.load(source / "last.ckpt", weights_only=True)
    (group,) = content["optimizer_states"][0]["param_groups"]
    group["lr"] = 1e-4  # a tenth of the recipe's
    torch.save(content, source / "last.ckpt")
    words = [*SHORT, "recipe.epochs=4", "recipe.optimizer.lr=0.02", "recipe.scheduler.patience=50"]
    run("train", *words, "resume=runs/lowered/last.ckpt", "name=again", cwd=whole)
    assert rates(whole / "runs" / "again" / "last.ckpt") == [(pytest.approx(0.002), 1e-5)]
    scheduler = torch.load(whole / "runs" / "again" / "last.ckpt", weights_only=True)["lr_schedulers"][0]
    assert scheduler["patience"] == 50 and scheduler["best"] >= content["lr_schedulers"][0]["best"]


def test_what_a_kill_between_two_files_leaves_goes_on_to_the_same_digits(whole):
    folder = unfinished(whole, "between")
    with folder.metrics.open(newline="") as file:
        rows = list(csv.DictReader(file))
    with folder.metrics.open("w", newline="") as file:  # as if killed before the last row had its training
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows([rows[0], {k: v for k, v in rows[1].items() if not k.startswith(("train/", "time/"))}])
    shutil.copyfile(whole / "runs" / "whole" / "best.ckpt", folder.best)  # of an epoch that is still to come, perhaps
    (folder.path / ".last.ckpt.77.tmp").write_text("half")
    done = run("train", *SHORT, "name=between", cwd=whole)
    assert "after epoch 1 of runs/between/last.ckpt" in done.stdout
    assert outcome(whole, "between") == outcome(whole, "whole")
    assert not list(folder.path.glob(".*.tmp"))


def test_a_damaged_last_checkpoint_falls_back_to_the_best(whole):
    folder = unfinished(whole, "damaged")
    folder.last.write_bytes(folder.last.read_bytes()[:1000])
    done = run("train", *SHORT, "name=damaged", cwd=whole)
    assert "last.ckpt is damaged, so the training goes on after epoch" in done.stdout
    assert outcome(whole, "damaged") == outcome(whole, "whole")
    folder.results.unlink(), folder.ending.unlink()
    folder.last.write_bytes(b""), folder.best.write_bytes(b"")
    done = run("train", *SHORT, "name=damaged", cwd=whole, status=1)
    assert "last.ckpt" in done.stderr and "overwrite=true" in done.stderr


def test_changed_data_ends_what_would_mix_it(whole):
    folder = unfinished(whole, "changed")
    listed = whole / "data/shapes/VOCdevkit/VOC2012/ImageSets/Segmentation/val.txt"
    before = listed.read_text()
    listed.write_text("".join(before.splitlines(keepends=True)[:-1]))
    try:
        for name in ("whole", "changed"):
            done = run("train", *SHORT, f"name={name}", cwd=whole, status=1)
            assert f"runs/{name}" in done.stderr and "lists of val have changed since that run" in done.stderr
    finally:
        listed.write_text(before)
    assert "done already" in run("train", *SHORT, "name=whole", cwd=whole).stdout
    shutil.move(whole / "data", whole / "moved")
    try:
        assert "done already" in run("train", *SHORT, "name=whole", cwd=whole).stdout  # without any data
        done = run("train", *SHORT, "data.root=moved/shapes", "name=changed", cwd=whole)  # equal data elsewhere
        assert "resuming" in done.stdout and folder.results.exists()
    finally:
        shutil.move(whole / "moved", whole / "data")


def test_a_folder_without_the_config_of_its_run_is_not_taken_for_another(whole):
    folder = RunFolder(whole / "runs" / "nameless")
    folder.create()
    folder.last.touch()
    with pytest.raises(InputError, match=r"nameless holds last\.ckpt, but its config\.yaml is missing"):
        state(config(*SHORT, "loss=focal", f"runs={whole}/runs", "name=nameless"), folder)


def test_scores_of_an_unfinished_network_are_not_those_of_the_finished_one(whole):
    folder = unfinished(whole, "scored")
    early = folder.path / "evaluations" / "early"
    early.mkdir(parents=True)
    folder.logits.mkdir()
    run("train", *SHORT, "name=scored", cwd=whole)
    assert not early.exists() and not folder.logits.exists()


def test_a_training_that_has_ended_is_scored_only_on_its_data_and_with_its_network(whole):
    folder = RunFolder(whole / "runs" / "ended")
    shutil.copytree(whole / "runs" / "whole", folder.path)
    folder.results.unlink()
    listed = whole / "data/shapes/VOCdevkit/VOC2012/ImageSets/Segmentation/train.txt"
    before = listed.read_text()
    listed.write_text("".join(reversed(before.splitlines(keepends=True))))
    try:
        done = run("train", *SHORT, "name=ended", cwd=whole, status=1)
        assert "lists of train have changed since that run" in done.stderr
    finally:
        listed.write_text(before)
    content = torch.load(folder.best, weights_only=True)
    content["seglab"]["config"]["seed"] = 5
    torch.save(content, folder.best)
    done = run("train", *SHORT, "name=ended", cwd=whole, status=1)
    assert "best.ckpt: is of another run" in done.stderr


def test_a_resume_that_leaves_nothing_to_train_is_refused(whole):
    for epochs, says in ((2, "has done 3 epochs already"), (0, "trains nothing")):
        words = [*SHORT, f"recipe.epochs={epochs}", "resume=runs/whole/last.ckpt", "name=none"]
        assert says in run("train", *words, cwd=whole, status=1).stderr


def test_a_resume_says_what_it_cannot_go_on_with(whole):
    words = [*SHORT, "recipe.epochs=4", "resume=runs/whole/last.ckpt"]
    assert "a run of its own; name it with name=NAME" in run("train", *words, cwd=whole, status=1).stderr
    content = torch.load(whole / "runs" / "whole" / "last.ckpt", weights_only=True)
    (group,) = content["optimizer_states"][0]["param_groups"]
    content["optimizer_states"][0]["param_groups"] = [{**group, "params": part} for part in ([0], group["params"][1:])]
    torch.save(content, whole / "other.ckpt")
    words[-1] = "resume=other.ckpt"
    done = run("train", *words, "name=groups", cwd=whole, status=1)
    assert "other.ckpt: has groups of [1, " in done.stderr
    done = run("train", *words, "backbone.weights=runs/whole", "name=groups", cwd=whole, status=1)
    assert "was trained with backbone.weights=none; with runs/whole other layers are new" in done.stderr


def test_steps_before_a_resume_are_counted_as_they_were(whole):
    words = [*SHORT, "recipe.epochs=4", "recipe.batch_size=2", "resume=runs/whole/last.ckpt", "name=smaller"]
    run("train", *words, cwd=whole)
    length = RunFolder(whole / "runs" / "smaller").read_ending()["training"]
    assert (length["steps"], length["of"], length["stopped"]) == (3 * 2 + 4, 10, None)


def test_another_monitor_begins_its_own_count(whole):
    words = [*SHORT, "recipe.epochs=4", "recipe.monitor=val/loss", "resume=runs/whole/last.ckpt", "name=monitor"]
    run("train", *words, cwd=whole)
    (scheduler,) = torch.load(whole / "runs" / "monitor" / "last.ckpt", weights_only=True)["lr_schedulers"]
    assert scheduler["mode"] == "min" and scheduler["num_bad_epochs"] == 0 and scheduler["best"] > 1  # a loss


def test_overwrite_deletes_runs_only(tmp_path):
    folder = RunFolder(tmp_path / "mine")
    folder.panels.mkdir(parents=True)
    asked = config(*SHORT, "overwrite=true", f"runs={tmp_path}", "name=mine")
    with pytest.raises(InputError, match=r"mine holds panels, but .* overwrite=true deletes only runs"):
        state(asked, folder)


def test_resume_null_starts_at_the_start(tmp_path):
    folder = RunFolder(tmp_path)
    folder.best.touch(), folder.last.touch()
    ended = {
        "monitor": {"key": "val/miou", "value": 0.5, "epoch": 1},
        "training": {"steps": 2, "of": 2, "stopped": None},
    }
    folder.write_ending(ended)
    asked = OmegaConf.create({"resume": "auto", "overwrite": False})
    assert starting_point(asked, folder) == (None, ended)
    asked.resume = None
    assert starting_point(asked, folder) == (None, None)
    folder.begin(asked, {})
    assert not folder.last.exists() and not folder.ending.exists()


def test_sigterm_ends_a_training_after_its_step_and_the_same_command_goes_on(whole):
    folder = RunFolder(whole / "runs" / "asked")
    words = [*SHORT, "recipe.epochs=400", "name=asked"]
    for lines, number in ((2, signal.SIGTERM), (4, signal.SIGUSR1)):  # the second is SLURM's before its time limit
        moment = [folder.metrics, lines, 0, number]
        done = run("train", *words, cwd=whole, status=128 + number, deadly=moment, SLURM_JOB_ID="7")
        assert done.stderr.splitlines()[-1].startswith(f"error: ended by {number.name} in epoch ")
        assert "holds the last whole one; the same command goes on" in folder.failure.read_text()
        assert not folder.results.exists() and folder.last.exists()
    assert "resuming" in done.stdout


def test_an_interrupted_attempt_says_so_in_its_folder(tmp_path):
    folder = RunFolder(tmp_path)
    with pytest.raises(SystemExit) as ended, folder.attempt(first=True):
        raise Interrupted(signal.SIGTERM, "before it was done")
    assert ended.value.code == 143
    assert folder.failure.read_text() == "ended by SIGTERM before it was done; the same command goes on.\n"


def test_a_checkpoint_is_written_beside_its_target_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "last.ckpt"
    WholeFiles().save_checkpoint({"weights": torch.ones(3)}, path)
    before = path.read_bytes()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "gone"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    WholeFiles().save_checkpoint({"weights": torch.ones(3)}, path)  # needs no other folder
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, limit[1]))  # as a full disk, within a file
    try:
        with pytest.raises(InputError, match=r"last\.ckpt: cannot be written, because the disk is full \(80\.0 kB are"):
            WholeFiles().save_checkpoint({"weights": torch.ones(20_000)}, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
    monkeypatch.setattr("shutil.disk_usage", lambda _: shutil._ntuple_diskusage(9, 9, 0))
    with pytest.raises(InputError, match="the disk is full"):
        WholeFiles().save_checkpoint({"weights": torch.ones(20_000)}, path)
    assert path.read_bytes() == before
