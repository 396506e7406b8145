"""Logits kept in files score like the network that gave them, and are not computed twice."""

import json

import numpy as np
import pytest
import torch

from tests.conftest import TINY
from tests.conftest import warm_run as run


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A working folder with a network as it came, and its logits in `kept`."""
    cwd = tmp_path_factory.mktemp("logits")
    for seed in (0, 1):
        run("train", *TINY, "recipe.epochs=0", "variants=none", f"seed={seed}", f"name=seed{seed}", cwd=cwd)
    done = run("evaluate", "run=runs/seed0", "keep_logits=kept", "output=first", cwd=cwd)
    return cwd, done


def scores(cwd, name):
    return json.loads((cwd / name / "results.json").read_text())["variants"]


def test_the_size_is_said_and_the_files_are_small(kept):
    cwd, done = kept
    assert "3 files of 11.4 kB" in done.stdout
    files = sorted((cwd / "kept").glob("*.npz"))
    assert len(files) == 3 and not list((cwd / "kept").glob("*.tmp*"))
    array = np.load(files[0])["logits"]
    assert array.dtype == np.float16 and array.shape[:2] == (21, 16)  # a quarter of 64 px: the decoder's resolution


def test_kept_logits_score_like_the_network(kept):
    cwd, _ = kept
    run("evaluate", "logits=kept", *TINY[:5], "variants=none", "output=again", cwd=cwd)
    run("evaluate", "run=runs/seed0", "output=direct", cwd=cwd)
    assert scores(cwd, "again") == scores(cwd, "first")
    assert scores(cwd, "first")["none"]["miou"] == pytest.approx(scores(cwd, "direct")["none"]["miou"], abs=2e-3)


def test_only_what_is_missing_is_computed(kept):
    cwd, _ = kept
    first, *others = sorted((cwd / "kept").glob("*.npz"))
    times = [file.stat().st_mtime_ns for file in others]
    first.unlink()
    done = run("evaluate", "run=runs/seed0", "keep_logits=kept", "output=third", cwd=cwd)
    assert "2 of 3 are already in kept" in done.stdout and first.exists()
    assert [file.stat().st_mtime_ns for file in others] == times
    assert scores(cwd, "third") == scores(cwd, "first")


def test_another_networks_logits_are_refused(kept):
    cwd, _ = kept
    done = run("evaluate", "run=runs/seed1", "keep_logits=kept", "output=fourth", cwd=cwd, status=1)
    assert "holds logits of another network" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.slow
def test_logits_of_other_images_or_of_another_protocol_are_not_scored(kept):
    cwd, _ = kept
    others = [*TINY[:5], "data.prepare.seed=7", "data.root=elsewhere", "variants=none"]
    for words in (["logits=kept"], ["run=runs/seed0", "keep_logits=kept"]):
        for more in (others, ["protocol=squash224", *([] if "run" in words[0] else TINY[:5])]):
            done = run("evaluate", *words, *more, "output=no", cwd=cwd, status=1)
            assert "the logits are of another image of this name, or of another protocol" in done.stderr
    run("evaluate", "run=runs/seed0", *others, "output=fresh", cwd=cwd)
    (cwd / "kept").rename(cwd / "runs" / "seed0" / "logits")  # as `src.train keep_logits=true` leaves them
    run("evaluate", "run=runs/seed0", *others, "output=again", cwd=cwd)
    assert scores(cwd, "again") == scores(cwd, "fresh")
    run("evaluate", "run=runs/seed0", *others, cwd=cwd)
    run("evaluate", "run=runs/seed0", "variants=none", cwd=cwd)
    (cwd / "runs" / "seed0" / "logits").rename(cwd / "kept")
    assert len(list((cwd / "runs" / "seed0" / "evaluations").iterdir())) == 2  # one of each data set


@pytest.mark.slow
def test_checkpoints_of_equal_configs_are_scored_into_two_folders(kept):
    cwd, _ = kept
    content = torch.load(cwd / "runs" / "seed0" / "best.ckpt", weights_only=True)
    content["state_dict"]["network.classifier.last.bias"][0] += 9
    (cwd / "changed").mkdir()
    torch.save(content, cwd / "changed" / "best.ckpt")
    for folder in ("runs/seed0", "changed", "changed"):
        run("evaluate", f"checkpoint={folder}/best.ckpt", "variants=none", cwd=cwd)
    assert len(list((cwd / "runs").glob("evaluate-best-*"))) == 2


def test_logits_that_are_kept_already_are_not_kept_again(kept):
    cwd, _ = kept
    done = run("evaluate", "logits=kept", "keep_logits=other", *TINY[:5], cwd=cwd, status=1)
    assert "works with run=FOLDER or checkpoint=PATH" in done.stderr


def test_variants_that_need_the_network_are_refused_before_its_pass(kept):
    cwd, _ = kept
    done = run("evaluate", "run=runs/seed0", "variants=tta", "keep_logits=more", "output=no", cwd=cwd, status=1)
    assert "look more than once at an image, and need the network itself" in done.stderr
    assert not (cwd / "more").exists()
