"""Scoring with a CRF beside its two stages by themselves; what a training waits for data, and its memory."""

import csv
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from rich.progress import Progress

from benchmarks.crf_data import SAMPLE, model, scenes
from benchmarks.rows import Row, in_turns, ratios
from src.core.machine import keep_freed_memory
from src.crf.engines import NumbaEngine, TorchEngine
from src.data.sources.voc import voc_folder
from src.data.transforms import ready
from src.models.backbones import MEAN, STD, resnet
from src.models.deeplab import DeepLabV3Plus
from src.models.inference import PLAIN
from src.scoring.scorer import VariantScorer
from src.scoring.variants import Variant

CRFS = {"by default": model("krahenbuhl2011"), "exact": model("krahenbuhl2011", label_floor=0.0)}
ALONE = "a core each"  # how far they overlap if neither takes from the other; this and the next no command chooses
CORES = os.cpu_count() or 1
PLACES = {
    ALONE: lambda: NumbaEngine(1, beside=True),
    "all cores at once": lambda: NumbaEngine(CORES, beside=True),
    "all cores in turn": lambda: NumbaEngine(CORES, beside=False),
}
if torch.cuda.is_available():
    PLACES["sharing a GPU"] = lambda: TorchEngine(torch.device("cuda"))


def overlap(progress: Progress, *, rounds: int = 5, images: int = 16) -> list[Row]:
    """The network and the CRF on a core each; on all cores, at once and in turn; on a GPU, which they share, too."""
    if not (SAMPLE / "logits_espnetv2").is_dir():
        return [Row("scoring with a CRF", "", f"no logits in {SAMPLE}", [], "<= 1.2")]
    if not torch.cuda.is_available():
        keep_freed_memory()  # as the commands do
    found = scenes(images)
    inputs = [
        ready(
            {"rgb": torch.from_numpy(s.rgb)[None], "mask": s.target[None].byte()},
            mean=MEAN,
            std=STD,
            channels_last=True,
        )["image"]
        for s in found
    ]
    network = DeepLabV3Plus(resnet("resnet50", output_stride=16, native_output_stride=8), 21).eval()
    rows = []
    for name, engine in PLACES.items():
        torch.set_num_threads(1 if name == ALONE else CORES)
        device = engine().device
        network = network.to(device, memory_format=torch.channels_last)
        given = [(scene, torch.from_numpy(scene.probs).to(device)) for scene in found], [i.to(device) for i in inputs]
        turns = {"network": lambda given=given: score(*given, network, None, None)}
        for kind, crf in CRFS.items():
            run = given, (crf, engine)
            turns[f"crf, {kind}"] = lambda run=run: score(*run[0], None, *run[1])
            turns[f"both, {kind}"] = lambda run=run: score(*run[0], network, *run[1])
        times = in_turns(turns, rounds=rounds, progress=progress, what=f"network and CRF, {name}")
        for kind in CRFS:
            both, alone, passes = times[f"both, {kind}"], times[f"crf, {kind}"], times["network"]
            longer = [max(pair) for pair in zip(passes, alone, strict=True)]
            beside = f"the longer of network {np.median(passes):.1f} s, CRF {np.median(alone):.1f} s"
            what = f"scoring {images} images, {name}, CRF {kind}"
            target = "" if name in list(PLACES)[:2] else "<= 1.2"
            rows.append(Row(what, f"{np.median(both):.1f} s", beside, ratios(both, longer), target))
    return rows


@torch.inference_mode()
def score(found, images, network, crf, engine) -> float:
    """Seconds. The CRF always runs on the stored logits, so that its work is the same with and without the network."""
    device = images[0].device
    started = time.perf_counter()
    with VariantScorer({"row": Variant(crf)}, 21, engine() if engine else None) as scorer:
        for (scene, probs), image in zip(found, images, strict=True):
            if network is not None:
                with torch.autocast(device.type, torch.bfloat16):
                    network(image)
            scorer.add(scene.name, {PLAIN: probs}, scene.rgb, scene.target)
        scorer.finish()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def wait(progress: Progress, *, epochs: int = 6) -> list[Row]:
    """What a training on the sample waits for data beside its steps; the first epoch starts workers and is left out."""
    cuda = torch.cuda.is_available()
    backbone, batch = ("resnet101", 16) if cuda else ("resnet18", 8)
    what = f"data wait, {backbone}, {batch} x 513 px"
    if not (SAMPLE / "VOCdevkit").is_dir():
        return [Row(what, "", f"no images in {SAMPLE}", [], "<= 0.05")]
    with tempfile.TemporaryDirectory() as folder:
        root = repeated(Path(folder) / "data", 40) if cuda else SAMPLE  # a GPU is through with 48 images in 3 steps
        metrics, training = train(
            Path(folder),
            *(
                "data=voc2012",
                f"data.root={root}",
                f"backbone={backbone}",
                "backbone.weights=none",
                f"trainer.profile={cuda}",
            ),
            *(f"recipe.batch_size={batch}", f"recipe.epochs={epochs}", f"recipe.val_every={epochs}"),
        )
        task = progress.add_task("data wait over epochs", total=epochs)
        while training.poll() is None:
            time.sleep(0.2)
            progress.update(task, completed=len(rows(metrics)))
        progress.remove_task(task)
        data, step = ([float(row[f"time/{name}"]) for row in rows(metrics)[1:]] for name in ("data", "step"))
    if training.returncode != 0:
        return [Row(what, "", "the training failed", [], "<= 0.05")]
    shown = f"{1000 * np.median(data):.0f} ms"
    return [Row(what, shown, f"steps of an epoch {np.median(step):.1f} s", ratios(data, step), "<= 0.05")]


def repeated(root: Path, times: int) -> Path:
    """The sample with each of its training images so many times, under other names."""
    source, target = (folder / "VOCdevkit" / "VOC2012" for folder in (SAMPLE.resolve(), root))
    lists = target / "ImageSets" / "Segmentation"
    for folder in (target / "JPEGImages", target / "SegmentationClass", lists):
        folder.mkdir(parents=True)
    named = {name: voc_folder(source).ids(name) for name in ("train", "val")}
    for name, ids in named.items():
        copies = [(image, f"{image}_{i}") for i in range(times if name == "train" else 1) for image in ids]
        (lists / f"{name}.txt").write_text("\n".join(copy for _, copy in copies))
        for image, copy in copies:
            for kind, suffix in (("JPEGImages", "jpg"), ("SegmentationClass", "png")):
                (target / kind / f"{copy}.{suffix}").symlink_to(source / kind / f"{image}.{suffix}")
    return root


def memory(progress: Progress, *, epochs: int = 21) -> list[Row]:
    """Resident memory of the training process when each epoch has ended: the later half beside the earlier one.

    The first epoch fills caches and is left out.
    """
    with tempfile.TemporaryDirectory() as folder:
        metrics, training = train(
            Path(folder),
            *("data=shapes", f"data.root={folder}/data", "data.train_limit=96", "data.val_limit=24"),
            *("backbone=resnet18", "backbone.weights=none", "recipe=demo", "recipe.augment.crop=96"),
            *(f"recipe.epochs={epochs}", "recipe.val_every=1"),
        )
        held: list[float] = []
        task = progress.add_task("memory over epochs", total=epochs)
        while training.poll() is None:
            time.sleep(0.05)
            if len(rows(metrics)) > len(held):
                status = Path(f"/proc/{training.pid}/status").read_text()
                size = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
                held.append(int(size) / 1024)
                progress.advance(task)
        progress.remove_task(task)
    if training.returncode != 0 or len(held) < 3:
        return [Row("memory, later epochs beside earlier", "", "the training failed", [], "<= 1.05")]
    half = len(held) // 2
    earlier, later = held[1 : 1 + half], held[-half:]
    what = f"memory, epochs {len(held) - half + 1} to {len(held)}"
    beside = f"epochs 2 to {1 + half} {np.median(earlier):.0f} MB"
    return [Row(what, f"{np.median(later):.0f} MB", beside, ratios(later, earlier), "<= 1.05")]


def train(folder: Path, *choices: str) -> tuple[Path, subprocess.Popen[bytes]]:
    """Start a training; returns where its metrics will be, and its process."""
    where = ("name=run", f"runs={folder}/runs", "variants=none", "logger=csv")
    command = [sys.executable, "-m", "src.train", *choices, *where]
    return folder / "runs" / "run" / "metrics.csv", subprocess.Popen(command, stdout=subprocess.DEVNULL)


def rows(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
