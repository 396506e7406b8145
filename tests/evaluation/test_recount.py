"""What kept logits tell a report beyond the counts: the centre crop, and the mean of several seeds."""

import csv
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms

from tests.conftest import TINY
from tests.conftest import warm_run as run


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Two seeds with kept logits, and a third without."""
    cwd = tmp_path_factory.mktemp("recount")
    for seed, keep in ((0, True), (1, True), (2, False)):
        words = ("recipe.epochs=0", "variants=none", f"seed={seed}", f"name=seed{seed}", f"keep_logits={keep}")
        run("train", *TINY, *words, cwd=cwd)
    return cwd


def images(cwd, seed):
    """Per image the logits of a seed (C, h, w) and the truth (H, W)."""
    (data,) = cwd.glob("data/**/SegmentationClass")
    for path in sorted((cwd / "runs" / f"seed{seed}" / "logits").glob("*.npz")):
        mask = np.array(Image.open(data / f"{path.stem}.png"))
        yield torch.from_numpy(np.load(path)["logits"].astype(np.float32)), mask


def miou(pairs):
    labels, truth = (np.concatenate([one.ravel() for one in both]) for both in zip(*pairs, strict=True))
    labels, truth = labels[truth != 255], truth[truth != 255]
    found = [
        ((labels == k) & (truth == k)).sum() / ((labels == k) | (truth == k)).sum() for k in np.union1d(labels, truth)
    ]
    return np.mean(found)


def resized(logits, size):
    return torch.nn.functional.interpolate(logits[None], size, mode="bilinear")[0]


def rows(cwd, folder):
    return list(csv.DictReader((cwd / folder / "table.csv").read_text().splitlines()))


@pytest.mark.slow
def test_the_centre_crop_is_that_of_torchvision(kept):
    crop = transforms.Compose(
        [transforms.Resize(513, transforms.InterpolationMode.NEAREST), transforms.CenterCrop(513)]
    )
    pairs = []
    for logits, mask in images(kept, 0):
        long = [int(513 * side / min(mask.shape)) for side in mask.shape]
        labels = resized(logits, long).argmax(0)
        pairs.append((transforms.CenterCrop(513)(labels).numpy(), np.array(crop(Image.fromarray(mask)))))
    run("report", "runs=runs/seed0,runs/seed2", "definitions=true", "output=crops", cwd=kept)
    found = {row["row"]: row for row in rows(kept, "crops") if row["score"] == "miou/centre_crop"}
    assert not found  # one of the two seeds of the row has no logits
    done = run("report", "runs=runs/seed0", "definitions=true", "output=crops", cwd=kept)
    (row,) = [row for row in rows(kept, "crops") if row["score"] == "miou/centre_crop"]
    assert float(row["value"]) == pytest.approx(miou(pairs), abs=1e-4)
    assert "513 px crop" in done.stdout and "<h2>mIoU % by other rules" in (kept / "crops" / "index.html").read_text()


def test_what_is_missing_for_a_definition_is_said(kept):
    done = run("report", "runs=runs/seed2", "definitions=true", "output=none", cwd=kept)
    keep = "python -m src.evaluate run=runs/seed2 keep_logits=runs/seed2/logits keeps them"
    assert "No 513 px crop: the logits of runs/seed2 are not kept" in " ".join(done.stdout.split())
    assert keep in " ".join(done.stdout.split())
    counts = np.load(kept / "runs" / "seed2" / "confusion.npz")["none"]
    np.savez(kept / "a.npz", counts=counts)
    done = run("report", "counts=a.npz", "definitions=true", "output=files", cwd=kept)
    assert "No 513 px crop: files of counts have no logits." in " ".join(done.stdout.split())
    assert "The data names no background class" in " ".join(done.stdout.split())


def test_a_copy_without_checkpoint_is_not_sent_to_make_logits(kept):
    names = ("config.yaml", "results.json", "confusion.npz")
    (kept / "copy").mkdir()
    for name in names:
        shutil.copy(kept / "runs" / "seed2" / name, kept / "copy")
    done = run("report", "runs=copy", "definitions=true", "output=copied", cwd=kept)
    said = " ".join(done.stdout.split())
    assert "best.ckpt, which would give them, is not there" in said and "keeps them" not in said


def test_logits_that_are_not_those_of_the_run_are_not_counted(kept):
    shutil.copytree(kept / "runs" / "seed0", kept / "mixed")
    for path in (kept / "mixed" / "logits").glob("*.npz"):
        found = dict(np.load(path))
        np.savez(path, **(found | {"logits": -found["logits"]}))
    done = run("report", "runs=mixed", "definitions=true", "output=mixed-report", cwd=kept)
    assert "so the logits are not its own" in " ".join(done.stdout.split())


def test_an_ensemble_is_the_mean_of_probabilities(kept):
    pairs = []
    for (first, mask), (second, _) in zip(images(kept, 0), images(kept, 1), strict=True):
        both = [resized(one, mask.shape).numpy().astype(np.float64) for one in (first, second)]
        probs = [np.exp(one - one.max(0)) / np.exp(one - one.max(0)).sum(0) for one in both]
        pairs.append((sum(probs).argmax(0), mask))
    done = run("report", "runs=runs/seed0,runs/seed1", "ensemble=true", "output=ensemble", cwd=kept)
    found = {row["variant"]: row for row in rows(kept, "ensemble") if row["score"] == "miou"}
    assert list(found) == ["none", "ensemble of 2"]
    assert float(found["ensemble of 2"]["value"]) == pytest.approx(miou(pairs), abs=1e-4)
    assert found["ensemble of 2"]["difference"] and "An ensemble has the labels" in done.stdout
    near = {row["variant"] for row in rows(kept, "ensemble") if row["score"] == "boundary_iou" and row["value"]}
    assert near == {"none", "ensemble of 2"}


def test_without_kept_logits_the_way_to_keep_them_is_said(kept):
    done = run("report", "runs=runs/seed0,runs/seed2", "ensemble=true", "output=lacking", cwd=kept)
    said = " ".join(done.stdout.split())
    assert "No ensemble of the network: the logits of runs/seed2 are not kept; python -m src.evaluate" in said
    assert {row["variant"] for row in rows(kept, "lacking")} == {"none"}
