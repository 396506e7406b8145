"""Real images with mapped labels: the scores are those of a script that maps the labels itself."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import interpolate

from tests.conftest import TINY, warm_run

NETWORK = [word for word in TINY if not word.startswith("data")]
NAMES = ["background", "cat", "cow", "dog", "horse", "person", "sheep"]
ANIMALS = {8: 1, 10: 2, 12: 3, 13: 4, 15: 5, 17: 6}  # VOC's labels


@pytest.mark.slow
def test_seven_classes_of_voc_from_training_to_report(sample, tmp_path):
    root = sample / "voc2012_part"
    words = ["data=voc_animals", f"data.root={root}", "data.train_list=train_aug", "data.train_limit=16"]
    words += ["data.val_limit=24", "recipe.epochs=1", "variants=fusion", "keep_logits=true", "panels=2", "name=r"]
    warm_run("train", *NETWORK, *words, "logger=wandb", cwd=tmp_path, WANDB_MODE="offline")
    run = tmp_path / "runs/r"
    results = json.loads((run / "results.json").read_text())
    assert results["classes"]["names"] == NAMES and list(results["variants"]["none"]["iou"]) == NAMES

    total = np.zeros((7, 7), dtype=np.int64)
    voc = root / "VOCdevkit/VOC2012"
    for name in (run / "splits/val.txt").read_text().split():
        stored = np.array(Image.open(voc / "SegmentationClass" / f"{name}.png"))
        truth = np.zeros_like(stored)
        for value, label in ANIMALS.items():
            truth[stored == value] = label
        with np.load(run / "logits" / f"{name}.npz") as kept:
            logits = torch.from_numpy(kept["logits"].astype(np.float32))[None]
        found = interpolate(logits, truth.shape, mode="bilinear", align_corners=False)[0].argmax(0).numpy()
        known = stored != 255
        np.add.at(total, (truth[known], found[known]), 1)
    hit, union = np.diag(total), total.sum(0) + total.sum(1) - np.diag(total)
    assert results["variants"]["none"]["miou"] == pytest.approx((hit[union > 0] / union[union > 0]).mean(), abs=1e-12)
    assert results["variants"]["none"]["pixel_accuracy"] == pytest.approx(hit.sum() / total.sum(), abs=1e-12)

    warm_run("report", "runs=runs/r", "resamples=200", cwd=tmp_path)
    (page,) = tmp_path.glob("reports/*/index.html")
    text = page.read_text()
    assert all(name in text for name in NAMES[1:]) and "tvmonitor" not in text
    assert len(list((run / "panels").glob("*.png"))) == 2
    (table,) = run.glob("wandb/offline-run-*/files/media/table/iou_per_class*.table.json")
    assert {row[1] for row in json.loads(table.read_text())["data"]} == set(NAMES)
