"""A training that is killed again and again, at any moment, ends with the digits of one that is not."""

import random
import tempfile
from pathlib import Path

import pytest
import torch

from src.runs.folder import RunFolder
from tests.conftest import TINY
from tests.conftest import warm_run as run
from tests.training.test_train import outcome

KILLS = 60
WORDS = [*TINY, "recipe.epochs=8", "recipe.val_every=2", "variants=none", "panels=1", "keep_logits=true"]


@pytest.mark.slow
def test_kills_at_random_moments_change_no_digit(tmp_path):
    draw = random.Random(0)
    elsewhere = Path("/dev/shm") if Path("/dev/shm").is_dir() else Path.home()
    with tempfile.TemporaryDirectory(dir=elsewhere) as temporary:
        run("train", *WORDS, "name=whole", cwd=tmp_path, TMPDIR=temporary)
        kills = runs = 0
        while kills < KILLS:
            folder = RunFolder(tmp_path / "runs" / f"killed{runs}")
            while not folder.results.exists():
                there = folder.metrics.read_bytes().count(b"\n") if folder.metrics.exists() else 0
                moment = [folder.metrics, there + draw.randint(0, 2), draw.uniform(0, 2)]
                done = run(
                    "train",
                    *WORDS,
                    f"name={folder.path.name}",
                    cwd=tmp_path,
                    status=None,
                    deadly=moment,
                    TMPDIR=temporary,
                )
                assert done.returncode in (0, -9), done.stderr
                kills += done.returncode == -9
            assert outcome(tmp_path, folder.path.name) == outcome(tmp_path, "whole")
            ours, theirs = (
                torch.load(one, weights_only=True)["state_dict"]
                for one in (folder.best, tmp_path / "runs" / "whole" / "best.ckpt")
            )
            assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
            assert not [*folder.path.rglob(".*.tmp")]
            runs += 1
        assert not [*Path(temporary).rglob("*.ckpt")]
    print(f"{kills} kills in {runs} runs")
