"""The search of CRF parameters, on a tiny generated data set."""

import json
import math
import re
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from types import SimpleNamespace

import pytest
import yaml
from filelock import FileLock

from src.core.errors import InputError
from tests.conftest import TINY, environment
from tests.conftest import warm_run as run

DATA = TINY[:5]
SEARCH = [
    *("images=3", "trials=5", "per_lattice=2", "crf=krahenbuhl2011", "space.iterations.high=2"),
    *("space.bilateral_sigma_rgb.low=8.0", "crf.label_floor=0"),
]


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    """A working folder with a network as it came, and a search on it."""
    cwd = tmp_path_factory.mktemp("tune")
    run("train", *TINY, "recipe.epochs=0", "variants=none", "name=net", cwd=cwd)
    return cwd, run("tune", "run=runs/net", *SEARCH, "output=tuned", cwd=cwd)


def preset(cwd, folder="tuned"):
    return yaml.safe_load((cwd / folder / "tuned.yaml").read_text())


def finished(cwd, folder):
    """Trials that were scored, read beside the search."""
    file = cwd / folder / "study.sqlite3"
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
            return database.execute("select count(*) from trials where state = 'COMPLETE'").fetchone()[0]
    except sqlite3.OperationalError:  # not there yet
        return 0


def test_the_preset_lies_in_the_space_and_says_where_it_comes_from(tuned):
    cwd, done = tuned
    found = preset(cwd)
    assert 1 <= found["iterations"] <= 2 and 8 <= found["bilateral_sigma_rgb"] <= 40 and found["label_floor"] == 0
    origin = found["tuned"]
    assert origin["split"] == "train" and origin["data"] == "shapes" and origin["trials"] == 5
    assert origin["ids"] == ["shapes_000003", "shapes_000007", "shapes_000010"]  # spread over eight
    assert {path.stem for path in (cwd / "tuned" / "logits").glob("*.npz")} == set(origin["ids"])
    assert origin["miou"]["tuned"] >= origin["miou"]["start"]  # the start is one of the trials
    assert "tuned.yaml" in done.stdout and "it is too high" in done.stdout


@pytest.mark.slow
def test_the_score_is_the_one_that_evaluate_gives(tuned):
    cwd, _ = tuned
    everything = ["data.val_list=train", "data.val_limit=8", "variants=tuned"]
    ids = preset(cwd)["tuned"]["ids"]
    (cwd / "three.txt").write_text("\n".join(ids) + "\n")
    own = preset(cwd) | {"tuned": preset(cwd)["tuned"] | {"ids": []}}  # scored on purpose on what it was tuned on
    (cwd / "own.yaml").write_text(yaml.safe_dump(own))
    run(
        "evaluate",
        "logits=tuned/logits",
        *DATA,
        "data.val_list=three.txt",
        "crf=own.yaml",
        "variants=tuned",
        "output=a",
        cwd=cwd,
    )
    scores = json.loads((cwd / "a" / "results.json").read_text())["variants"]
    assert scores["crf_tuned"]["miou"] == pytest.approx(own["tuned"]["miou"]["tuned"], abs=1e-9)
    assert scores["none"]["miou"] == pytest.approx(own["tuned"]["miou"]["none"], abs=1e-9)
    run("evaluate", "run=runs/net", *everything, "crf=tuned/tuned.yaml", "output=b", cwd=cwd)
    results = json.loads((cwd / "b" / "results.json").read_text())
    assert results["images"] == 5 and results["left_out"] == {"tuned": 3}


def test_a_finished_search_is_shown_again(tuned):
    cwd, done = tuned
    before = finished(cwd, "tuned")
    again = run("tune", "run=runs/net", *SEARCH, "output=tuned", cwd=cwd)
    assert again.stdout.splitlines()[-6:] == done.stdout.splitlines()[-6:]
    assert finished(cwd, "tuned") == before == 5


def test_another_question_is_refused_in_the_same_folder(tuned):
    cwd, _ = tuned
    done = run("tune", "run=runs/net", *SEARCH, "guidance=normalized_uint8", "output=tuned", cwd=cwd, status=1)
    assert "holds a search of another question" in done.stderr and "Traceback" not in done.stderr


def test_two_searches_do_not_work_in_one_folder(tuned):
    cwd, _ = tuned
    with FileLock(cwd / "tuned" / ".lock"):
        done = run("tune", "run=runs/net", *SEARCH, "output=tuned", cwd=cwd, status=1)
    assert "tuned: another process is at work" in done.stderr


def test_images_without_a_label_end_a_search():
    search = pytest.importorskip("src.evaluation.tuning.search")
    empty = SimpleNamespace(_miou=lambda _: {"none": math.nan}, images=range(3))
    with pytest.raises(InputError, match="none of the 3 images of the search has a labelled pixel"):
        search.Search.run(empty, SimpleNamespace(user_attrs={}), None)


@pytest.mark.slow
def test_a_killed_search_goes_on(tuned):
    cwd, _ = tuned
    options = ["run=runs/net", *SEARCH, "trials=60", "output=killed"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    victim = subprocess.Popen([sys.executable, "-m", "src.tune", *options], cwd=cwd, env=environment(), **quiet)
    while victim.poll() is None and finished(cwd, "killed") < 2:
        time.sleep(0.01)
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    assert not (cwd / "killed" / "tuned.yaml").exists(), "the search was over before it could be killed"
    done_before = finished(cwd, "killed")
    options[options.index("trials=60")] = f"trials={done_before + 3}"
    run("tune", *options, cwd=cwd)
    assert preset(cwd, "killed")["tuned"]["trials"] == done_before + 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["split=val", "images=2"], r"val has 3 images, .* use images=1 or less, or split=train"),
        (["+space.colour={low: 1.0, high: 2.0}"], r"space=colour: not one of iterations, spatial_sigma"),
        (["space.iterations.low=1.5"], r"space.iterations.low=1.5: must be a whole number"),
        (["space.spatial_sigma.low=9.0"], r"space.spatial_sigma: low=9.0 lies above high=6.0"),
        (["+fusion.sum={}"], r"fusion=sum: not one of boundary"),
        (["split=test"], r"split=test: not one of train, val"),
        (["trials=0"], r"trials=0: must be a whole number from 1"),
    ],
)
def test_a_search_that_cannot_be_is_told_before_it_begins(tuned, options, message):
    cwd, _ = tuned
    done = run("tune", "run=runs/net", *options, cwd=cwd, status=1)
    assert re.search(message, done.stderr) and "Traceback" not in done.stderr, done.stderr
