"""Run folders without runs: what a report reads, made in milliseconds."""

from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

from src.data.sources.voc import voc_folder
from src.reporting.collect import of_folders
from src.reporting.comparison import compare
from src.reporting.panels import panel
from src.runs.folder import RunFolder
from src.scoring.metrics import RADII, boundary_iou, scores, trimap_miou

VOC = voc_folder(Path()).classes
CLASSES = len(VOC)


def counts(images, quality, *, seed):
    """Matrices (N, C, C) and trimaps of predictions that are right for a share `quality` of the pixels."""
    random, of_truth = np.random.default_rng(seed), np.random.default_rng(0)
    truth = np.zeros((images, CLASSES), dtype=np.int64)
    truth[:, 0] = 3000
    for image in range(images):
        truth[image, 1 + image % 5] = 800 + of_truth.integers(400)
    right = (truth * np.clip(quality + 0.03 * random.normal(size=truth.shape), 0, 1)).astype(np.int64)
    matrices = np.zeros((images, CLASSES, CLASSES), dtype=np.int64)
    matrices[:, range(CLASSES), range(CLASSES)] = right
    matrices[:, :, 0] += truth - right
    hit = np.diagonal(matrices, axis1=1, axis2=2)
    union = matrices.sum(1) + matrices.sum(2) - hit
    near = np.stack([np.stack([hit // (6 - k), union // (5 - k)], 1) for k in range(len(RADII))], 1)
    return matrices, near.astype(np.int32)


def make_run(path, *, loss="focal", seed=1, variants=None, images=40, picture=False):
    """A finished run folder; `variants` maps names to the share of pixels that is right."""
    variants = variants or {"none": 0.8}
    folder = RunFolder(path)
    folder.create()
    config = {
        "data": {"name": "made", "root": "data"},
        "loss": {"name": loss, "gamma": 2 if loss == "focal" else None},
        "seed": seed,
        "trainer": {},
        "crf": {"name": "deeplabv2"},
        "variants": {name: {} for name in variants},
    }
    folder.write_config(OmegaConf.create(config))
    found = {name: counts(images, quality, seed=seed) for name, quality in variants.items()}
    matrices, trimaps = ({name: both[k] for name, both in found.items()} for k in (0, 1))
    boundaries = {name: counted[:, 0] for name, counted in trimaps.items()}
    rows = {
        name: {
            **scores(matrices[name]).as_dict(VOC.names),
            "trimap_miou": trimap_miou(trimaps[name]),
            "boundary_iou": boundary_iou(boundaries[name]),
        }
        for name in matrices
    }
    results = {
        "data": "made",
        "protocol": "voc",
        "images": images,
        "classes": VOC.plain(),
        "variants": rows,
        "monitor": {"key": "val/miou", "value": rows["none"]["miou"], "epoch": 2},
        "fingerprint": {"val": "0123456789abcdef"},
        "versions": {"torch": "2.0"},
    }
    folder.write_results(
        results, [f"image{k}" for k in range(images)], *(stack.items() for stack in (matrices, trimaps, boundaries))
    )
    lines = [f"{epoch},{epoch},{1 / (1 + epoch)},{0.1 * epoch}" for epoch in range(3)]
    folder.metrics.write_text("\n".join(["epoch,step,train/loss,val/miou", *lines, ""]))
    if picture:
        (folder.panels / "extremes").mkdir(parents=True)
        rgb, labels = np.zeros((20, 30, 3), np.uint8), np.zeros((20, 30), np.uint8)
        for name in variants:
            for end in ("best", "worst"):
                panel(rgb, labels, {name: labels}, VOC).save(folder.panels / "extremes" / f"{name}-{end}.webp")
    return folder


@pytest.fixture
def runs(tmp_path):
    """Two losses with three seeds each, the second clearly better."""
    for loss, quality in (("focal", 0.8), ("dice", 0.9)):
        for seed in (1, 2, 3):
            variants = {"none": quality + 0.002 * seed}
            make_run(tmp_path / "runs" / f"{loss}{seed}", loss=loss, seed=seed, variants=variants, picture=True)
    return tmp_path / "runs"


def table_of(*paths, baseline=None, resamples=500):
    return compare(of_folders(paths), name="t", question="q", baseline=baseline, resamples=resamples)
