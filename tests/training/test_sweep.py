"""Sweeps as a user runs them, in processes of their own."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from src.training.sweeps.sweep import _share
from tests.conftest import TINY, environment, run, warm_run

SHORT = [*TINY, "recipe.epochs=2", "variants=none", "panels=0"]


def results(cwd):
    return {path.parent.name: path.stat().st_mtime_ns for path in cwd.glob("runs/*/results.json")}


@pytest.mark.slow
def test_a_failing_job_leaves_the_others_alone_and_stays_in_the_table(tmp_path):
    words = ["table=losses", *SHORT, "loss=focal", "seed=1", "recipe.batch_size=64,4", "jobs=2"]
    words.remove("recipe.batch_size=4")
    done = run("train", *words, cwd=tmp_path, status=1)
    assert len(results(tmp_path)) == 1 and re.search(r"\d/2  done  .*recipe.batch_size=4  val/miou 0.\d+", done.stdout)
    (failed,) = (line for line in done.stdout.splitlines() if "FAILED" in line)
    assert "recipe.batch_size=64" in failed and "use recipe.batch_size=8 or less" in failed and "log.txt" in failed
    assert done.stderr == "error: 1 of 2 jobs failed; the same command tries them again.\n"
    assert (
        "python -m src.report" in done.stdout and "no row has this name" in done.stdout
    )  # the baseline was swept away

    report = warm_run("report", *words, "resamples=200", "baseline=batch_size 4", cwd=tmp_path)
    assert "| batch_size 64 | 0 of 1 | missing" in (tmp_path / "reports" / "losses-shapes" / "table.md").read_text()
    assert "failed: recipe.batch_size=64" in report.stdout


@pytest.mark.slow
def test_a_killed_sweep_goes_on_where_it_stopped(tmp_path):
    options = [*TINY, "recipe.epochs=5", "variants=none", "panels=0"]
    warm_run("train", *options, "seed=1", cwd=tmp_path)
    words = ["-m", *options, "seed=1,2"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    sweep = subprocess.Popen([sys.executable, "-m", "src.train", *words], cwd=tmp_path, env=environment(), **quiet)
    while sweep.poll() is None:
        curves = [path.read_text().count("\n") for path in tmp_path.glob("runs/*seed2*/metrics.csv")]
        if curves and curves[0] >= 3:  # two epochs of the second job
            break
        time.sleep(0.05)
    sweep.send_signal(signal.SIGKILL)
    sweep.wait()
    before = results(tmp_path)
    assert len(before) == 1
    while children_of(tmp_path):
        time.sleep(0.1)
    assert results(tmp_path) == before, "the job went on to its end without its sweep"

    done = run("train", *words, cwd=tmp_path)
    assert "1/2  done before" in done.stdout and "2/2  done " in done.stdout
    assert results(tmp_path).items() >= before.items() and len(results(tmp_path)) == 2
    (log,) = tmp_path.glob("runs/*seed2*/log.txt")
    assert "resuming" in log.read_text()
    (curve,) = tmp_path.glob("runs/*seed2*/metrics.csv")
    assert [line.split(",")[0] for line in curve.read_text().splitlines()[1:]] == [str(k) for k in range(5)]


def children_of(folder):
    """Processes of ours at work in the folder."""
    found = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True).stdout.splitlines()
    pids = [int(line.split()[0]) for line in found if "src.train" in line and "seed=2" in line]
    return [pid for pid in pids if folder_of(pid) == str(folder)]


def folder_of(pid):
    try:
        return str(Path(f"/proc/{pid}/cwd").readlink())
    except OSError:
        return None


@pytest.mark.slow
def test_a_trained_network_is_scored_with_other_variants_not_trained_again(tmp_path):
    words = [*SHORT, "seed=1"]
    first = warm_run("train", *words, "keep_logits=true", cwd=tmp_path)
    (folder,) = tmp_path.glob("runs/*seed1*")
    best = (folder / "best.ckpt").stat().st_mtime_ns
    assert len(list((folder / "logits").glob("*.npz"))) == 3 and "logits" in first.stdout

    words[words.index("variants=none")] = "variants=fusion"
    done = warm_run("train", *words, cwd=tmp_path)
    assert "scoring it with other variants" in done.stdout and "crf_raw_fill" in done.stdout
    assert (folder / "best.ckpt").stat().st_mtime_ns == best
    (scored,) = (folder / "evaluations").iterdir()
    both = [json.loads((path / "results.json").read_text())["variants"]["none"] for path in (folder, scored)]
    assert both[0] == both[1]  # from the same kept logits
    again = warm_run("train", *words, cwd=tmp_path)
    assert "done already" in again.stdout and "crf_raw_fill" in again.stdout

    report = warm_run("report", *words, "resamples=200", cwd=tmp_path)
    assert "crf raw fill" in report.stdout


@pytest.mark.slow
def test_a_sweep_may_overwrite_and_jobs_may_not_share_a_folder(tmp_path):
    words = [*SHORT, "recipe.epochs=1", "seed=7,8", "overwrite=true"]
    for _ in range(2):
        assert "2 jobs, 0 failed" in warm_run("train", "-m", *words, cwd=tmp_path).stdout
    done = warm_run("train", "-m", *words, "name=same", cwd=tmp_path, status=1)
    assert "name=same: several jobs of this sweep have it" in done.stderr


@pytest.mark.parametrize(("at_once", "shares"), [(1, ["abc"]), (2, ["ac", "b"]), (4, ["a", "b", "c", "a"])])
def test_jobs_share_out_the_devices(at_once, shares):
    assert ["".join(_share("abc", slot, at_once)) for slot in range(at_once)] == shares


@pytest.mark.slow
@pytest.mark.parametrize(
    ("launcher", "package"), [("submitit_local", "hydra_plugins.hydra_submitit_launcher"), ("ray", "ray")]
)
def test_other_launchers_run_the_same_jobs(tmp_path, launcher, package):
    pytest.importorskip(package, reason=f"{package} is not installed: make test-slow")
    words = [*SHORT, "loss=focal", "seed=1,2", f"hydra/launcher={launcher}"]
    run("train", "-m", *words, cwd=tmp_path)
    assert len(results(tmp_path)) == 2
    done = run("train", "-m", *words[:-1], cwd=tmp_path)
    assert len(re.findall("done before", done.stdout)) == 2
