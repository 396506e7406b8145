"""Scoring with a CRF beside its two stages by themselves, and the memory of a training over its epochs."""

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


def memory(progress: Progress, *, epochs: int = 6) -> list[Row]:
    """Resident memory of the training process when each epoch has ended; the first fills caches and is left out."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            *(sys.executable, "-m", "src.train", "data=shapes", f"data.root={folder}/data", "backbone=resnet18"),
            *("backbone.weights=none", "recipe=demo", f"recipe.epochs={epochs}", "recipe.val_every=1", "name=run"),
            *(
                "recipe.augment.crop=96",
                "data.train_limit=96",
                "data.val_limit=24",
                f"runs={folder}/runs",
                "variants=none",
            ),
        ]
        started = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        held: list[float] = []
        task = progress.add_task("memory over epochs", total=epochs)
        while started.poll() is None:
            time.sleep(0.05)
            if rows(Path(folder, "runs", "run", "metrics.csv")) > len(held):
                status = Path(f"/proc/{started.pid}/status").read_text()
                held.append(
                    next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024
                )
                progress.advance(task)
        progress.remove_task(task)
    if started.returncode != 0 or len(held) < 3:
        return [Row("memory, last epoch to second", "", "the training failed", [], "1")]
    what = f"memory, epochs 3 to {len(held)} to the second"
    return [Row(what, f"{held[-1]:.0f} MB", f"{held[1]:.0f} MB", [later / held[1] for later in held[2:]], "1")]


def rows(path: Path) -> int:
    if not path.exists():
        return 0
    with path.open(newline="") as file:
        return sum(1 for _ in csv.DictReader(file))
