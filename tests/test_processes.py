"""Two processes score as one does, image by image, and leave one run folder."""

import itertools
import json

import numpy as np
import pytest

from src import processes
from src.inference import PLAIN
from src.variants import Variant, VariantScorer
from tests.conftest import SAMPLE, TINY, run, warm_run
from tests.test_config import config
from tests.test_variants import sample

TWO = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"]


def counts(folder):
    return {name: np.load(folder / name) for name in ("confusion.npz", "trimap.npz")}


def test_a_training_shared_by_two_processes_leaves_one_run(tmp_path):
    done = warm_run("train", *TINY, *TWO, "recipe.epochs=1", "variants=fusion", "panels=2", "name=two", cwd=tmp_path)
    folder = tmp_path / "runs" / "two"
    assert (
        done.stdout.count("machine ") == 1
        and "2 cpu" in done.stdout
        and "4 images a step, 2 on each" in done.stdout
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


@pytest.mark.slow
@pytest.mark.skipif(not (SAMPLE / "voc2012_sample").is_dir(), reason="the sample of VOC2012 is not there")
def test_two_processes_count_the_real_sample_as_one_does_bit_for_bit(tmp_path):
    words = [*TINY, "data=voc2012", f"data.root={SAMPLE / 'voc2012_sample'}", "data.expected=null", "name=net"]
    words = [word for word in words if not word.startswith(("data.prepare", "data=shapes", "crf="))]
    run("train", *words, "recipe.epochs=1", "variants=none", "panels=0", cwd=tmp_path, timeout=400)
    for name, several in (("one", []), ("two", TWO)):
        run("evaluate", "run=runs/net", *several, "variants=fusion", f"output={name}", cwd=tmp_path, timeout=600)
    shared, alone = counts(tmp_path / "two"), counts(tmp_path / "one")
    assert len(alone["confusion.npz"]["ids"]) == 40
    for file, arrays in shared.items():
        assert all((arrays[name] == alone[file][name]).all() for name in arrays.files)


@pytest.mark.parametrize("world", [2, 3, 7])
def test_what_processes_scored_is_put_together_in_the_order_of_the_list(world, monkeypatch):
    images = {f"image{i}": sample(i) for i in range(7)}

    def score(names):
        with VariantScorer({"none": Variant()}, 4, None) as scorer:
            for name in names:
                logits, rgb, target = images[name]
                scorer.add(name, {PLAIN: logits.softmax(0)}, rgb, target)
        return scorer

    whole = score(images)
    whole.finish()
    parts = [score(list(images)[rank::world]) for rank in range(world)]
    everyone = [(part.ids, part.matrices.images, part.trimaps.images) for part in parts]
    monkeypatch.setattr(processes, "gather", lambda thing: everyone if len(thing) == 3 else [thing])
    parts[0].finish()
    assert parts[0].ids == list(images)
    for one, other in itertools.product((parts[0].matrices, parts[0].trimaps), (whole.matrices, whole.trimaps)):
        if one.shape == other.shape:
            assert (one["none"] == other["none"]).all()


def test_an_image_scored_twice_is_an_error(monkeypatch):
    with VariantScorer({"none": Variant()}, 4, None) as scorer:
        logits, rgb, target = sample(0)
        scorer.add("image", {PLAIN: logits.softmax(0)}, rgb, target)
    part = (scorer.ids, scorer.matrices.images, scorer.trimaps.images)
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
    assert processes.is_main(config(*words)) is main
