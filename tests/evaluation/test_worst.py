"""Which images scoring draws if it draws the worst, or those of a list."""

import json

import numpy as np
import pytest
import torch

from src.core import processes
from src.evaluation.scoring.worst import Worst
from src.reporting.output.images.drawn import read_panel
from src.scoring.metrics import scores
from src.scoring.scorer import Scored
from tests.conftest import TINY
from tests.conftest import warm_run as run

IDS = [f"image{k}" for k in range(12)]


def images():
    """Random matrices of two variants; one image has no labels."""
    random = np.random.default_rng(0)
    empty = torch.zeros(1, 1, dtype=torch.int64)
    for image_id in IDS:
        matrices = {name: random.integers(0, 9, (3, 3)) * (image_id != "image5") for name in ("crf", "none")}
        yield Scored(image_id, np.zeros((1, 1, 3), np.uint8), empty, {}, matrices)


def own(found):
    return {image.id: scores(image.matrices["none"]).miou for image in found if image.id != "image5"}


@pytest.mark.parametrize("count", [1, 4, 11, 50])
def test_the_lowest_own_scores_are_drawn_once_all_are_known(tmp_path, count):
    observer = Worst(tmp_path / "panels", count, lambda image: image.id.encode())
    for image in images():
        observer(image)
    assert not [*observer.folder.iterdir()]
    observer.finish()
    expected = own(images())
    assert {path.stem for path in observer.folder.iterdir()} == {*sorted(expected, key=expected.get)[:count]}
    assert (observer.folder / f"{min(expected, key=expected.get)}.png").read_bytes().startswith(b"image")


def test_several_processes_draw_the_worst_of_all(tmp_path, monkeypatch):
    found = [*images()]
    observers = [Worst(tmp_path / "panels", 3, lambda image: b"") for _ in range(2)]
    for k, image in enumerate(found):
        observers[k % 2](image)
    everyone = [[held[:2] for held in observer.held] for observer in observers]
    monkeypatch.setattr(processes, "gather", lambda mine: everyone)
    for observer in observers:
        observer.finish()
    expected = own(found)
    assert {path.stem for path in (tmp_path / "panels").iterdir()} == {*sorted(expected, key=expected.get)[:3]}


@pytest.mark.slow
def test_the_report_asks_for_what_evaluate_then_draws(tmp_path):
    words = [*TINY, "recipe.epochs=1", "data.prepare.val=6", "name=r"]
    run("train", *words, "variants=none", "panels=worst:2", cwd=tmp_path)
    folder = tmp_path / "runs" / "r"
    drawn = {path.stem for path in (folder / "panels").glob("*.png")}
    matrices = np.load(folder / "confusion.npz")
    score = {str(image): scores(matrix).miou for image, matrix in zip(matrices["ids"], matrices["none"], strict=True)}
    assert sorted(score[image] for image in drawn) == sorted(score.values())[:2]
    assert read_panel(next((folder / "panels").glob("*.png"))).variants == ("none",)

    report = ["runs=runs/r", "baseline=none", "output=report", "resamples=100", "images=worst:5"]
    said = run("report", *report, cwd=tmp_path).stdout
    assert "no panels of 3 of the 5 worst images" in said
    command = next(line for line in said.splitlines() if "src.evaluate" in line).partition("-m src.evaluate ")[2]
    assert command == "run=runs/r panels=report/images.txt"
    run("evaluate", *command.split(), cwd=tmp_path)
    assert "not drawn" not in (again := run("report", *report, cwd=tmp_path).stdout)
    assert "5 of 6 images have pictures" in again


def test_a_list_of_other_images_is_refused_before_anything_is_scored(tmp_path):
    run("train", *TINY, "recipe.epochs=0", "variants=none", "panels=0", "name=r", cwd=tmp_path)
    (tmp_path / "ids.txt").write_text("nowhere\n")
    done = run("evaluate", "run=runs/r", "panels=ids.txt", cwd=tmp_path, status=1)
    assert "panels=ids.txt: nowhere is not among the 3 images that are scored" in done.stderr
    done = run("evaluate", "run=runs/r", "panels=no.txt", cwd=tmp_path, status=1, torch=False)
    assert "panels=no.txt: there is no such file; give a number, worst:N" in done.stderr
    assert json.loads((tmp_path / "runs" / "r" / "results.json").read_text())["images"] == 3
