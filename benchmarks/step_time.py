"""Time of a training step beside two libraries', and of the train command's start: `python -m benchmarks.step_time`.

A step is forward, cross-entropy at the image's size, backward and Adam, on random images. The contestants take turns
step by step, so that whatever else the machine does falls on all of them alike. They are not the same network: smp's
ASPP and decoder use separable convolutions, hence the columns with parameters and multiplications.
"""

import argparse
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import segmentation_models_pytorch as smp
import torch
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models.segmentation import deeplabv3_resnet101

from src.losses import cross_entropy
from src.models.backbones import resnet
from src.models.deeplab import DeepLabV3Plus, resize_logits

CLASSES = 21
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


@dataclass
class Contestant:
    name: str
    build: Callable[[], nn.Module]
    fast: bool  # bfloat16 autocast and channels-last


def ours() -> nn.Module:
    return DeepLabV3Plus(resnet("resnet101", output_stride=16, native_output_stride=8), CLASSES)


def library() -> nn.Module:
    return smp.DeepLabV3Plus("resnet101", encoder_weights=None, encoder_output_stride=16, classes=CLASSES)


def torchvision_v3() -> nn.Module:
    return deeplabv3_resnet101(weights=None, weights_backbone=None, num_classes=CLASSES)


CONTESTANTS = [  # bf16: autocast and channels-last; fp32: both libraries' default
    Contestant("SegLab V3+ OS 16, bf16", ours, fast=True),
    Contestant("SegLab V3+ OS 16, fp32", ours, fast=False),
    Contestant("smp V3+ OS 16, bf16", library, fast=True),
    Contestant("smp V3+ OS 16, fp32", library, fast=False),
    Contestant("torchvision V3 OS 8, fp32", torchvision_v3, fast=False),
]


def stepper(contestant: Contestant, images: Tensor, target: Tensor) -> Callable[[], float]:
    """A function that makes one step and returns its seconds."""
    layout = torch.channels_last if contestant.fast else torch.contiguous_format
    network = contestant.build().to(DEVICE, memory_format=layout).train()
    images = images.to(memory_format=layout)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4)

    def step() -> float:
        start = time.perf_counter()
        with torch.autocast(DEVICE.type, torch.bfloat16, enabled=contestant.fast):
            output = network(images)
            logits = output["out"] if isinstance(output, dict) else output
            loss = cross_entropy(resize_logits(logits, (target.shape[1], target.shape[2])), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if DEVICE.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    return step


def measure_steps(*, steps: int, batch: int, size: int, progress: Progress) -> dict[str, list[float]]:
    torch.manual_seed(0)
    images = torch.randn(batch, 3, size, size, device=DEVICE)
    target = torch.randint(0, CLASSES, (batch, size, size), device=DEVICE)
    steppers = {contestant.name: stepper(contestant, images, target) for contestant in CONTESTANTS}
    times: dict[str, list[float]] = {name: [] for name in steppers}
    task = progress.add_task("steps", total=(steps + 1) * len(steppers))
    for round_ in range(steps + 1):
        for name, step in steppers.items():
            seconds = step()
            if round_ > 0:  # the first one allocates and chooses kernels
                times[name].append(seconds)
            progress.advance(task)
    return times


def measure_start(*, runs: int, progress: Progress) -> list[float]:
    """Seconds of `python -m src.train --help`; empty, and said, where it fails."""
    times: list[float] = []
    for _ in progress.track(range(runs), description="start-up"):
        start = time.perf_counter()
        done = subprocess.run([sys.executable, "-m", "src.train", "--help"], capture_output=True, text=True)
        if done.returncode != 0:
            progress.console.print(f"start-up not measured: {done.stderr.strip().splitlines()[-1]}", markup=False)
            return []
        times.append(time.perf_counter() - start)
    return times


def machine() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    cpu = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    device = torch.cuda.get_device_name() if DEVICE.type == "cuda" else f"{cpu}, {torch.get_num_threads()} threads"
    return f"{device}, torch {torch.__version__}, segmentation_models_pytorch {smp.__version__}"


def cost(contestant: Contestant, size: int) -> list[str]:
    """Parameters in millions and multiplications of one image's forward pass in thousand millions."""
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        network = contestant.build().eval()
        network(torch.empty(1, 3, size, size))
    return [f"{sum(p.numel() for p in network.parameters()) / 1e6:.1f}", f"{counter.get_total_flops() / 2e9:.1f}"]


def row(name: str, times: list[float], reference: float | None) -> list[str]:
    median = statistics.median(times)
    ratio = "" if reference is None else f"{median / reference:.2f}"
    return [name, f"{median:.3f}", f"{min(times):.3f}", f"{max(times):.3f}", ratio]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=5, help="timed steps of each, after one warm-up")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--size", type=int, default=224, help="pixels a side, a multiple of 16 (smp)")
    options = parser.parse_args()

    console = Console()
    with Progress(console=console) as progress:
        times = measure_steps(steps=options.steps, batch=options.batch, size=options.size, progress=progress)
        start = measure_start(runs=5, progress=progress)

    title = f"Training step, ResNet-101, {options.batch} x {options.size} px, {options.steps} steps"
    table = Table("", "median s", "min", "max", "ratio", "M par.", "GMAC", title=title, caption=machine())
    first = statistics.median(times[CONTESTANTS[0].name])
    for contestant in CONTESTANTS:
        table.add_row(*row(contestant.name, times[contestant.name], first), *cost(contestant, options.size))
    if start:
        table.add_section()
        table.add_row(*row("src.train --help", start, None))
    console.print(table)


if __name__ == "__main__":
    main()
