"""`python -m src.plan`: arithmetic of costs, spreads of pilots, and the command itself."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from src.core.errors import InputError
from src.reporting.collect import of_folders
from src.reporting.counts import read_counts
from src.reporting.statistics.samples import Sample
from src.runs.folder import RunFolder
from src.runs.jobs import expand
from src.training.sweeps import finding
from src.training.sweeps.measure import short
from src.training.sweeps.pace import Pace, read_pace, validations
from src.training.sweeps.shapes import Images, images_of, seconds_of, shape_of
from tests.conftest import ROOT, TINY, run, warm_run
from tests.reporting.conftest import make_run

PACE = Pace(
    start=10, step=2, saving=1, validation=0.5, scoring=3, memory=1e9, kept=1000, counted=10, picture=100, other=7
)
SMALL = ["data=shapes", "backbone.weights=none", "recipe=demo", "recipe.epochs=6", "recipe.val_every=4"]
RESULTS = ROOT / "experiments" / "results"


def test_the_time_and_the_size_of_a_run_are_sums():
    assert (
        PACE.seconds(epochs=6, steps=5, validations=2, images=4) == 10 + 6 * 5 * 2 + (6 + 2) * 1 + 2 * 4 * 0.5 + 4 * 3
    )
    assert PACE.disk(images=4, pictures=2) == 1000 + 40 + 200 + 7


@pytest.mark.parametrize(("epochs", "every"), [(6, 4), (8, 4), (1, 5), (5, 1), (0, 3)])
def test_each_so_manieth_epoch_is_validated_and_the_last(epochs, every):
    assert validations(epochs, every) == sum((k + 1) % every == 0 or k + 1 == epochs for k in range(epochs))


def test_jobs_that_run_at_a_time_end_with_the_last():
    costs = pytest.importorskip("src.training.sweeps.costs")
    assert costs.makespan([5, 1, 1, 1], 1) == 8
    assert costs.makespan([5, 1, 1, 1], 2) == 5
    assert costs.makespan([1, 1, 5], 2) == 6
    assert costs.makespan([1], 4) == 1
    assert [costs.duration(s) for s in (4.26, 60, 3599.9, 5400, 100_000)] == [
        "4.3 s",
        "1 min",
        "60 min",
        "1 h 30 min",
        "1 d 4 h",
    ]


def test_only_what_is_left_of_a_job_costs(tmp_path):
    (job,) = expand([*SMALL, "seed=1", f"runs={tmp_path}"])
    images = Images(train=40, val=4, there=True)  # 5 steps of 8
    assert seconds_of(job, images, PACE) == PACE.seconds(epochs=6, steps=5, validations=2, images=4)
    job.folder.create()
    job.folder.write_config(job.config)
    job.folder.last.touch()
    job.folder.metrics.write_text("epoch,step\n" + "".join(f"{k},{5 * k + 4}\n" for k in range(4)))
    assert seconds_of(job, images, PACE) == PACE.seconds(epochs=2, steps=5, validations=1, images=4)


def test_losses_and_seeds_are_of_one_shape_and_crops_are_not():
    jobs = expand([*SMALL, "loss=focal,dice", "seed=1,2"])
    assert len({shape_of(job.config) for job in jobs}) == 1
    assert len({shape_of(job.config) for job in expand([*SMALL, "recipe.augment.crop=64,128"])}) == 2
    assert len({shape_of(job.config) for job in expand([*SMALL, "backbone=resnet18,resnet50"])}) == 2


def test_the_pace_of_a_run_leaves_its_first_epoch_out(tmp_path):
    folder = make_run(tmp_path / "a", images=40)
    assert read_pace(folder) is None  # an older run, which tells no times
    results = json.loads(folder.results.read_text())
    results |= {
        "training": {"steps": 15, "of": 15, "stopped": None, "seconds": 60.0, "fitting": 66.0, "memory": 5},
        "costs": {"seconds": {"none": 0.1}, "scoring": 25.0, "first": 5.5, "jobs": 1},
        "seconds": 100.0,
    }
    folder.results.write_text(json.dumps(results))
    folder.best.write_bytes(b"1" * 300)
    folder.last.write_bytes(b"1" * 200)
    rows = ["0,4,9,30,0", "1,9,1,9,8", "2,14,2,13,12"]
    folder.metrics.write_text("\n".join(["epoch,step,time/data,time/step,time/validation", *rows, ""]))
    found = read_pace(folder)
    assert (found.start, found.step, found.saving) == (
        14,
        2.5,
        1.2,
    )  # 100 - 66 - 40 x 0.5; 10 s and 15 s in 5 steps; 6 / 5
    assert (found.validation, found.scoring, found.kept) == (10 / 40, 0.5, 500)  # (25 - 5.5) / 39
    everything = sum(path.stat().st_size for path in folder.path.rglob("*") if path.is_file())
    assert found.disk(images=40, pictures=0) == pytest.approx(everything)
    folder.metrics.write_text("epoch,step,time/data,time/step,time/validation\n0,4,x,1,0\n")
    with pytest.raises(InputError, match="is not the metrics of a run"):
        read_pace(folder)


def test_images_are_those_of_the_config_where_the_data_is_not_there(tmp_path):
    (job,) = expand(["data=voc2012", f"data.root={tmp_path}", "data.val_limit=100"])
    assert images_of(job.config) == Images(1464, 100, there=False)
    (job,) = expand(["data=voc2012", f"data.root={tmp_path}", "data.expected=null"])
    with pytest.raises(InputError, match=r"the data of voc2012 is not there.*src\.check data=voc2012"):
        images_of(job.config)


def test_a_short_training_of_each_table_composes(tmp_path):
    for words in (["table=losses"], ["table=crf_fusion"], ["backbone=resnet18", "recipe=deeplab"]):
        job = expand([*words, "seed=1", "data=shapes"])[0]
        for there in (True, False):
            (small,) = expand(short(job, Images(240, 60, there), steps=3, folder=tmp_path))
            assert small.problem is None and small.config.recipe.epochs == 2
            assert small.config.recipe.augment.crop == job.config.recipe.augment.crop
            assert shape_of(small.config).replace("'val/loss'", "") == shape_of(job.config)


def test_typical_spreads_are_those_of_the_published_results():
    rows, _ = finding._rows(of_folders([RESULTS / "losses"]), shared=False)
    known = finding.TYPICAL
    assert finding.parts_of(rows, shared=False) == pytest.approx(
        (known.images, known.seeds, known.interaction), abs=5e-4
    )

    runs = [RESULTS / "crf_fusion_own" / f"own-crf_fusion-seed{seed}" for seed in (1, 2, 3)]
    rows = []
    for name in ("none", "deeplabv2_raw"):
        found = [read_counts(RunFolder(run)) for run in runs]
        margins = np.stack([one.margins[name][one.order] for one in found])
        rows.append(Sample.of_miou(margins, ["1", "2", "3"]))
    known = finding.TYPICAL_SHARED
    assert finding.parts_of(rows, shared=True) == pytest.approx(
        (known.images, known.seeds, known.interaction), abs=5e-4
    )


def test_a_pilot_tells_its_spreads_and_typical_ones_fill_the_gaps(tmp_path):
    for loss in ("focal", "dice"):
        for seed in (1, 2, 3):
            make_run(tmp_path / f"{loss}{seed}", loss=loss, seed=seed, variants={"none": 0.8 + 0.01 * seed})
    spreads, told = finding.spreads_of(of_folders([tmp_path]), shared=False)
    assert told == ["a pilot of 2 rows, 6 trainings and 40 images of made"] and 0.003 < spreads.seeds < 0.03
    spreads, told = finding.spreads_of(of_folders([tmp_path / "focal1", tmp_path / "dice1"]), shared=False)
    assert (
        spreads.seeds == finding.TYPICAL.seeds and "of seeds it says nothing" in told[0] and "typical: seeds" in told[1]
    )
    spreads, told = finding.spreads_of([], shared=False)
    assert spreads == finding.TYPICAL and told[0].startswith("typical: images and seeds from four losses")


def test_rows_and_seeds_of_a_table_are_counted():
    asked = finding.question_of(expand(["table=losses", "data=shapes"]))
    assert asked == finding.Question(seeds=3, compared=3, trained=4, shared=False)
    asked = finding.question_of(expand(["table=crf_fusion", "data=shapes"]))
    assert asked == finding.Question(seeds=3, compared=48, trained=1, shared=True)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "nothing to plan: give table=NAME"),
        (["table=loses"], "Did you mean losses?"),
        (["table=losses", "recipe.epoch=3"], "Did you mean recipe.epochs?"),
        (["table=losses", "data=shapes", "runs=nowhere"], "runs=nowhere: there is no such folder"),
        (["table=losses", "data=shapes", "steps=-1"], "steps=-1: must be a whole number"),
        (["data.expected=null"], "the data of voc2012 is not there"),
    ],
)
def test_bad_input_is_told_before_torch_is_imported(tmp_path, words, told):
    done = warm_run("plan", *words, cwd=tmp_path, status=1, torch=False)
    assert told in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.slow
def test_a_plan_foretells_the_bytes_of_the_runs_and_then_takes_their_times(tmp_path):
    words = [*TINY, "variants=none", "loss=focal,dice", "panels=2"]
    planned = run("plan", *words, "seed=1", "steps=2", cwd=tmp_path).stdout
    assert "2 jobs: 2 waiting" in planned and "from        measured now: 2 steps" in planned
    assert not (tmp_path / "runs").exists() and not (tmp_path / "data").exists()
    run("train", "-m", *words, "seed=1", cwd=tmp_path)
    folder = RunFolder(next(Path(tmp_path).glob("runs/shapes-*")))
    really = sum(path.stat().st_size for path in folder.path.rglob("*") if path.is_file())
    size, unit = re.search(r"^ +([\d.]+) (kB|MB) of disk, .* of memory$", planned, re.MULTILINE).groups()
    assert float(size) * {"kB": 1e3, "MB": 1e6}[unit] == pytest.approx(really, rel=0.25)
    again = run("plan", *words, "seed=1,2", cwd=tmp_path).stdout
    print(planned, again, folder.read_results()["seconds"])
    assert "2 done, 2 waiting" in again and "2 done runs of this machine" in again
    assert "a pilot of 2 rows, 2 trainings and 3 images of shapes" in again
