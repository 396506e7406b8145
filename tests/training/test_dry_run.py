"""What `dry_run=true` of `src.train` lists: the state of each job, and configs that cannot be trained."""

import re

from src.runs.jobs import expand
from src.runs.listing import in_words
from tests.conftest import RESULTS, warm_run

SMALL = ["data=shapes", "backbone.weights=none", "recipe=demo"]


def states(text):
    return re.findall(r"^ *\d+/\d+  (.+?)  ", text, re.MULTILINE)


def test_each_state_is_told_in_words(tmp_path):
    words = [*SMALL, "seed=1,2,3,4", "recipe.batch_size=8", f"runs={tmp_path}"]
    done, part, failed, waiting = expand(words)
    for job in (done, part, failed):
        job.folder.create()
        job.folder.write_config(job.config)
    done.folder.results.write_text(str(RESULTS).replace("'", '"'))
    part.folder.last.touch()
    part.folder.metrics.write_text("epoch,step\n0,9\n1,19\n")
    failed.folder.fail("no room")
    (broken,) = expand([*SMALL, "recipe.batch_size=1", f"runs={tmp_path}"])
    assert in_words(done) == ("done", "")
    assert in_words(part) == ("in part", "epoch 2 of 9")
    assert in_words(failed) == ("failed", "epoch 0 of 9; no room")
    assert in_words(waiting) == ("waiting", "")
    assert in_words(broken)[0] == "broken config" and "from 2" in in_words(broken)[1]


def test_a_sweep_is_listed_and_nothing_is_trained(tmp_path):
    words = ["table=losses", *SMALL, "seed=1", "dry_run=true"]
    done = warm_run("train", *words, cwd=tmp_path, torch=False)
    assert states(done.stdout) == ["waiting"] * 4 and "4 jobs: 4 waiting" in done.stdout
    done = warm_run("train", *words, "recipe.batch_size=1,8", cwd=tmp_path, torch=False, status=1)
    assert states(done.stdout) == ["broken config", "waiting"] * 4
    assert done.stderr == "error: 4 of 8 jobs cannot be trained as their config is; the list says why.\n"
    assert not [*tmp_path.glob("runs/shapes*")] and not (tmp_path / "data").exists()


def test_a_single_training_is_listed_too(tmp_path):
    done = warm_run("train", *SMALL, "dry_run=true", "name=one", cwd=tmp_path, torch=False)
    assert "1/1  waiting        one\n1 job: 1 waiting\n" in done.stdout and not (tmp_path / "runs").exists()


def test_a_dry_run_asks_for_the_same_run():
    dry, wet = (expand([*SMALL, f"dry_run={word}"])[0] for word in ("true", "false"))
    assert dry.folder == wet.folder
