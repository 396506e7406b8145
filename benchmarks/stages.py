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
from src.crf.engines import NumbaEngine
from src.data.transforms import ready
from src.inference import PLAIN
from src.models.backbones import resnet
from src.models.deeplab import DeepLabV3Plus
from src.variants import Variant, VariantScorer


def overlap(progress: Progress, *, rounds: int = 5, images: int = 16) -> list[Row]:
    """The network and the CRF on a core each, and on all cores each, which they then have to share."""
    if not (SAMPLE / "logits_espnetv2").is_dir():
        return [Row("scoring with a CRF", "", f"no logits in {SAMPLE}", [], "<= 1.2")]
    found = scenes(images)
    inputs = [
        ready({"rgb": torch.from_numpy(s.rgb)[None], "mask": s.target[None].byte()}, channels_last=True)["image"]
        for s in found
    ]
    network = DeepLabV3Plus(resnet("resnet50", output_stride=16, native_output_stride=8), 21).eval()
    network = network.to(memory_format=torch.channels_last)
    rows = []
    for name, threads in (("a core each", 1), ("sharing all cores", os.cpu_count() or 1)):
        torch.set_num_threads(threads)
        turns = {
            "network": lambda: score(found, inputs, network, None),
            "crf": lambda threads=threads: score(found, inputs, None, threads),
            "both": lambda threads=threads: score(found, inputs, network, threads),
        }
        times = in_turns(turns, rounds=rounds, progress=progress, what=f"network and CRF, {name}")
        longer = [max(pair) for pair in zip(times["network"], times["crf"], strict=True)]
        parts = f"network {np.median(times['network']):.1f} s, CRF {np.median(times['crf']):.1f} s"
        both = f"{np.median(times['both']):.1f} s"
        what = f"scoring {images} images, {name}"
        rows.append(Row(what, both, f"the longer of {parts}", ratios(times["both"], longer), "<= 1.2"))
    return rows


@torch.inference_mode()
def score(found, inputs, network, threads) -> float:
    """Seconds. The CRF always runs on the stored logits, so that its work is the same with and without the network."""
    started = time.perf_counter()
    engine = NumbaEngine(threads) if threads else None
    variants = {"crf": Variant(model("krahenbuhl2011", label_floor=0.0))} if threads else {"none": Variant()}
    with VariantScorer(variants, 21, engine) as scorer:
        for scene, image in zip(found, inputs, strict=True):
            if network is not None:
                with torch.autocast("cpu", torch.bfloat16):
                    network(image)
            scorer.add(scene.name, {PLAIN: torch.from_numpy(scene.probs)}, scene.rgb, scene.target)
        scorer.finish()
    return time.perf_counter() - started


def wait(progress: Progress, *, epochs: int = 6) -> list[Row]:
    """What a training on the sample waits for data beside its steps; the first epoch starts workers and is left out."""
    cuda = torch.cuda.is_available()
    backbone, batch = ("resnet101", 16) if cuda else ("resnet18", 8)
    what = f"data wait, {backbone}, {batch} x 513 px"
    if not (SAMPLE / "VOCdevkit").is_dir():
        return [Row(what, "", f"no images in {SAMPLE}", [], "<= 0.05")]
    with tempfile.TemporaryDirectory() as folder:
        metrics, training = train(
            Path(folder),
            *(
                "data=voc2012",
                f"data.root={SAMPLE}",
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
