"""What a run folder shows before its training, and after it."""

import csv
import random
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
import torch
from PIL import Image

from src.core.errors import InputError
from src.data.inspection.batch import SHOWN, draw_batch
from src.evaluation import build
from src.reporting.output.figures.curves import draw_curves
from src.runs.folder import RunFolder
from tests.conftest import CPU, TINY, config
from tests.conftest import warm_run as run

WITHOUT = '''"""A plugin with which no batch is drawn."""

from src.training import fit

fit.draw_batch = lambda data, path: 0
'''


@pytest.fixture
def data(tmp_path):
    """Of a training on eight images."""
    found = build.datamodule(config(*TINY, f"data.root={tmp_path}"), CPU)
    found.prepare_data()
    return found


def streams():
    """The states of all random streams that a training could use."""
    name, keys, *rest = np.random.get_state()
    return torch.get_rng_state().tolist(), (name, keys.tolist(), *rest), random.getstate()


def test_the_crops_are_those_that_training_sees_and_no_random_stream_moves(data, tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr("src.data.inspection.batch.composed", lambda cells, *_, **__: shown.extend(cells) or picture)
    picture = Image.new("RGB", (1, 1))
    before = streams()
    assert draw_batch(data, tmp_path / "batch.webp") == SHOWN == len(shown)
    assert streams() == before
    trained = [
        (one, rgb.numpy(), mask.numpy())
        for batch in data.train_dataloader()
        for one, rgb, mask in zip(batch["id"], batch["rgb"], batch["mask"], strict=True)
    ]
    assert len(trained) == 8  # an epoch; the other crops are of the next
    for (title, rgb, mask), (image, pixels, labels) in zip(shown, trained, strict=False):
        assert title == image and np.array_equal(rgb, pixels) and np.array_equal(mask, labels)
    assert not np.array_equal(shown[0][1], shown[8][1])


def test_fewer_images_than_a_batch_give_no_crops_so_that_training_can_say_so(data, tmp_path):
    data.batch_size = 9
    assert draw_batch(data, tmp_path / "batch.webp") == 0 and not (tmp_path / "batch.webp").exists()
    with pytest.raises(InputError, match=r"use recipe\.batch_size=8 or less"):
        data.train_dataloader()


def losses(folder):
    with (folder / "metrics.csv").open(newline="") as file:
        return [(row["train/loss"], row["val/loss"], row["val/miou"]) for row in csv.DictReader(file)]


@pytest.mark.slow
def test_losses_are_the_same_without_the_picture(tmp_path):
    plugin = tmp_path / "without.py"
    plugin.write_text(WITHOUT)
    words = [*(word for word in TINY if not word.startswith("plugins=")), "recipe.epochs=2", "variants=none"]
    tiny = next(word for word in TINY if word.startswith("plugins=")).removeprefix("plugins=")
    run("train", *words, f"plugins={tiny}", "name=with", cwd=tmp_path)
    run("train", *words, f"plugins=[{tiny},{plugin}]", "name=without", cwd=tmp_path)
    one, other = tmp_path / "runs" / "with", tmp_path / "runs" / "without"
    assert losses(one) == losses(other) and len(losses(one)) == 2
    assert (one / "batch.webp").exists() and not (other / "batch.webp").exists()
    with Image.open(one / "batch.webp") as sheet:
        assert sheet.format == "WEBP" and len(sheet.convert("RGB").getcolors(1 << 24)) > 1000

    assert points(one / "curves.svg") == {"train/loss": 2, "val/loss": 2, "val/miou": 2, "train/lr": 2}


@pytest.mark.slow
def test_a_resumed_training_draws_the_epochs_before_it_too(tmp_path):
    words, folder = [*TINY, "variants=none", "name=killed"], tmp_path / "runs" / "killed"
    run("train", *words, cwd=tmp_path, status=-9, deadly=[folder / "metrics.csv", 3])
    before = (folder / "batch.webp").stat().st_mtime_ns
    assert not (folder / "curves.svg").exists()
    run("train", *words, cwd=tmp_path)
    assert points(folder / "curves.svg") == {"train/loss": 4, "val/loss": 4, "val/miou": 4, "train/lr": 4}
    assert (folder / "batch.webp").stat().st_mtime_ns == before


def points(path):
    """Numbers of points of the lines in a picture of curves, by metric."""
    groups = ET.parse(path).iterfind(".//{*}g[@id]")
    lines = {one.get("id"): one.find("{*}path") for one in groups if "/" in one.get("id")}
    return {key: len(re.findall("[ML]", line.get("d"))) for key, line in lines.items()}


def test_curves_have_gaps_where_nothing_was_measured(tmp_path):
    folder = RunFolder(tmp_path)
    draw_curves(folder)
    assert not folder.curves.exists()  # nothing was trained
    folder.metrics.write_text("epoch,step,train/loss,train/lr,val/miou\n0,1,nan,0.1,\n1,2,0.5,0.1,0.25\n2,3,0.4,0.1,\n")
    draw_curves(folder)
    text = folder.curves.read_text()
    assert "best 25.00" in text and "<dc:date>" not in text
    before = folder.curves.read_bytes()
    draw_curves(folder)
    assert folder.curves.read_bytes() == before
