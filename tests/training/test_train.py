"""The commands end to end, on a tiny generated data set."""

import csv
import json
import re

import numpy as np
import pytest
import torch
from PIL import Image

from tests import conftest
from tests.conftest import TINY
from tests.conftest import warm_run as run


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A working folder with one finished run."""
    cwd = tmp_path_factory.mktemp("train")
    return cwd, run("train", *TINY, "name=whole", cwd=cwd)


def read(cwd, name):
    return json.loads((cwd / "runs" / name / "results.json").read_text())


def outcome(cwd, name):
    """All that must be equal between equal runs."""
    matrices = np.load(cwd / "runs" / name / "confusion.npz")
    results = read(cwd, name)
    with (cwd / "runs" / name / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    metrics = [{key: value for key, value in row.items() if not key.startswith("time/")} for row in rows]
    return results["variants"], results["monitor"], metrics, {key: matrices[key].tolist() for key in matrices}


def test_a_run_leaves_what_the_contract_names(finished):
    cwd, done = finished
    folder = cwd / "runs" / "whole"
    names = {path.name for path in folder.iterdir()} - {".lock"}
    assert names == {
        *("config.yaml", "batch.webp", "metrics.csv", "curves.svg", "best.ckpt", "last.ckpt", "training.json"),
        *("results.json", "confusion.npz", "trimap.npz", "boundary.npz", "panels", "splits"),
    }
    checkpoint = torch.load(folder / "best.ckpt", weights_only=True)["seglab"]
    assert checkpoint["config"]["backbone"]["name"] == "resnet18" and len(checkpoint["classes"]["names"]) == 21
    assert set(checkpoint["fingerprint"]) == {"train", "val"} and "torch" in checkpoint["versions"]
    matrices = np.load(folder / "confusion.npz")
    assert matrices["crf_raw_fill"].shape == (3, 21, 21) and len(matrices["ids"]) == 3
    assert len(list((folder / "panels").glob("*.png"))) == 3
    extremes = {path.name for path in (folder / "panels" / "extremes").iterdir()}
    assert {"none-best.webp", "none-worst.webp", "crf_raw-best.webp"} <= extremes and len(extremes) == 14
    trimaps = np.load(folder / "trimap.npz")
    assert trimaps["crf_raw_fill"].shape == (3, 4, 2, 21) and trimaps["ids"].tolist() == matrices["ids"].tolist()
    ran_on = read(cwd, "whole")["machine"]
    assert ran_on["device"] and (ran_on["precision"], ran_on["processes"], ran_on["threads"]) == ("32-true", 1, 1)
    assert "crf_normalized" in done.stdout and "runs/whole" in done.stdout
    header = (folder / "metrics.csv").read_text().splitlines()[0].split(",")
    assert {"epoch", "train/loss", "val/loss", "val/miou", "val/pixel_accuracy"} <= set(header)


def test_a_finished_run_is_shown_not_repeated(finished):
    cwd, _ = finished
    before = outcome(cwd, "whole")
    done = run("train", *TINY, "name=whole", cwd=cwd)
    assert "done already" in done.stdout and "crf_raw" in done.stdout
    assert outcome(cwd, "whole") == before


def test_the_same_seed_gives_the_same_digits(finished):
    cwd, _ = finished
    run("train", *TINY, "name=again", cwd=cwd)
    assert outcome(cwd, "again") == outcome(cwd, "whole")


def kill(cwd, options, *, lines):
    """Start a run and kill it as soon as its metrics.csv has so many lines."""
    folder = cwd / "runs" / "killed"
    run("train", *options, "name=killed", cwd=cwd, status=-9, deadly=[str(folder / "metrics.csv"), lines])
    assert not (folder / "results.json").exists(), "the run was over before it could be killed"


def test_a_killed_run_resumes_to_the_same_digits(finished):
    cwd, _ = finished
    kill(cwd, TINY, lines=3)
    done = run("train", *TINY, "name=killed", cwd=cwd)
    assert "resuming" in done.stdout
    assert outcome(cwd, "killed") == outcome(cwd, "whole")


@pytest.mark.slow
def test_a_resume_with_a_schedule_per_step_between_two_validations(tmp_path):
    options = [*TINY, "recipe=demo", "recipe.epochs=4", "recipe.val_every=2", "variants=none"]
    options.remove("recipe=adam_plateau")
    options.remove("recipe.scheduler.patience=0")
    run("train", *options, "name=whole", cwd=tmp_path)
    kill(tmp_path, options, lines=2)  # the first epoch is done and was not validated
    run("train", *options, "name=killed", "resume=last", cwd=tmp_path)
    assert outcome(tmp_path, "killed") == outcome(tmp_path, "whole")


def test_a_network_is_scored_as_it_came(finished):
    cwd, _ = finished
    run("train", *TINY, "recipe.epochs=0", "variants=none", "name=asis", cwd=cwd)
    run("evaluate", "run=runs/asis", "output=asis_again", cwd=cwd)
    results = read(cwd, "asis")
    assert results["monitor"]["value"] == pytest.approx(results["variants"]["none"]["miou"], abs=1e-6)
    assert json.loads((cwd / "asis_again" / "results.json").read_text())["variants"] == results["variants"]


def test_resuming_from_what_is_no_checkpoint_is_named(finished, tmp_path):
    cwd, _ = finished
    (cwd / "garbage.ckpt").write_text("garbage")
    done = run("train", *TINY, "name=fresh", "resume=garbage.ckpt", cwd=cwd, status=1)
    assert "garbage.ckpt is not a PyTorch checkpoint" in done.stderr and "Traceback" not in done.stderr


def test_evaluate_gives_the_run_its_own_scores_again(finished):
    cwd, _ = finished
    run("evaluate", "run=runs/whole", "output=again", cwd=cwd)
    run("evaluate", "checkpoint=runs/whole/best.ckpt", "variants=none", "output=plain", cwd=cwd)
    expected = read(cwd, "whole")["variants"]
    assert json.loads((cwd / "again" / "results.json").read_text())["variants"] == expected
    assert json.loads((cwd / "plain" / "results.json").read_text())["variants"] == {"none": expected["none"]}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda f: (f / "JPEGImages" / "shapes_000003.jpg").write_bytes(b"\xff\xd8\xff"),
            r"shapes_000003\.jpg cannot be read",
        ),
        (lambda f: _label(f, 57), r"shapes_000003\.png has labels 57"),
        (lambda f: _label(f, 3, size=(9, 9)), r"shapes_000003\.png is 9 x 9 px"),
        (lambda f: (f / "ImageSets/Segmentation/train.txt").unlink(), r"train\.txt"),
    ],
    ids=["truncated", "label57", "size", "list"],
)
def test_spoilt_data_is_named_without_a_traceback(finished, tmp_path, spoil, message):
    import shutil

    cwd, _ = finished
    shutil.copytree(cwd / "data", tmp_path / "data")
    spoil(tmp_path / "data" / "shapes" / "VOCdevkit" / "VOC2012")
    # Two workers: the complaint comes from another process.
    done = run("train", *TINY, "recipe.val_every=1", "trainer.workers=2", cwd=tmp_path, status=1)
    assert re.search(message, done.stderr) and "Traceback" not in done.stderr, done.stderr


def _label(folder, label, size=None):
    path = folder / "SegmentationClass" / "shapes_000003.png"
    mask = Image.open(path)
    found = np.array(mask if size is None else mask.resize(size))
    found[0, 0] = label
    Image.fromarray(found, mode="L").save(path)


@pytest.mark.slow
def test_no_library_warns_of_what_is_meant(tmp_path):
    """In a run that goes on from another folder; all other tests keep warnings off."""
    words = [*TINY, "crf.engine=torch", "panels=0"]
    run("train", *words, "recipe.epochs=1", "name=one", cwd=tmp_path)
    more = ["recipe.epochs=2", "name=two", "resume=runs/one/last.ckpt"]
    done = conftest.run("train", *words, *more, cwd=tmp_path, PYTHONWARNINGS="")
    assert "Warning" not in done.stderr + done.stdout, done.stderr
