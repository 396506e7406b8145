"""Time of a training step beside two libraries', and of the train command's start.

A step is forward, cross-entropy at the image's size, backward and Adam, on random images. The contestants take turns
step by step; on a CPU each lives in a process of its own, since how memory is kept is a process's affair. They are not
all the same network: smp's ASPP and decoder use separable convolutions, and torchvision's output stride is 8, hence the
columns with parameters and multiplications of the second table. Its last column holds the arithmetic of a step against
the peak in bfloat16: the data sheet's on a GPU, on a CPU that of a matrix product that takes its turns, too.
"""

import math
import multiprocessing
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection

import segmentation_models_pytorch as smp
import torch
from rich.progress import Progress
from rich.table import Table
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models.segmentation import deeplabv3_resnet101

from benchmarks.rows import Row, in_turns, ratios
from src.core.machine import keep_freed_memory
from src.models.backbones import resnet
from src.models.deeplab import DeepLabV3, DeepLabV3Plus, resize_logits
from src.models.losses import cross_entropy

CLASSES = 21
CUDA = torch.cuda.is_available()
DEVICE = torch.device("cuda" if CUDA else "cpu")
BATCH, SIZE = (16, 512) if CUDA else (4, 224)
LARGE = (8, 513)  # images of a step and their side in px, as we train
EDGE = 2048  # of the product's matrices
PEAKS = {"H100 80GB HBM3": 989e12, "H100 PCIe": 756e12, "H200": 989e12, "A100": 312e12}  # dense bf16, by data sheets


@dataclass(frozen=True)
class Contestant:
    build: Callable[[], nn.Module]
    amp: bool  # bfloat16 autocast
    tuned: bool  # channels-last, fused Adam and, on a CPU, freed memory kept, as we train
    compiled: bool = False
    keeps: bool = True  # freed memory, if tuned


def backbone(stride: int):
    return resnet("resnet101", output_stride=stride, native_output_stride=8)


def plus() -> nn.Module:
    return DeepLabV3Plus(backbone(16), CLASSES)


def library() -> nn.Module:
    return smp.DeepLabV3Plus("resnet101", encoder_weights=None, encoder_output_stride=16, classes=CLASSES)


def torchvision_v3() -> nn.Module:
    return deeplabv3_resnet101(weights=None, weights_backbone=None, num_classes=CLASSES)


CONTESTANTS = {
    "V3+ OS 16": Contestant(plus, amp=True, tuned=True),
    "V3 OS 8": Contestant(lambda: DeepLabV3(backbone(8), CLASSES), amp=True, tuned=True),
    "V3 OS 16": Contestant(lambda: DeepLabV3(backbone(16), CLASSES), amp=True, tuned=True),
    "V3+ OS 16, plain fp32": Contestant(plus, amp=False, tuned=False),
    "smp V3+ OS 16": Contestant(library, amp=CUDA, tuned=False),
    "smp V3+ OS 16, tuned": Contestant(library, amp=True, tuned=True),
    "torchvision V3 OS 8": Contestant(torchvision_v3, amp=CUDA, tuned=False),
}
KEEPERS = {  # at a size whose blocks glibc gives back
    "V3+ OS 16": CONTESTANTS["V3+ OS 16"],
    "the same, memory given back": replace(CONTESTANTS["V3+ OS 16"], keeps=False),
}
if CUDA:
    CONTESTANTS["V3+ OS 16, compiled"] = Contestant(plus, amp=True, tuned=True, compiled=True)


def stepper(contestant: Contestant, batch: int, size: int) -> Callable[[], float]:
    """A function that makes one step and returns its seconds."""
    torch.manual_seed(0)
    images = torch.randn(batch, 3, size, size, device=DEVICE)
    target = torch.randint(0, CLASSES, (batch, size, size), device=DEVICE)
    layout = torch.channels_last if contestant.tuned else torch.contiguous_format
    network = contestant.build().to(DEVICE, memory_format=layout).train()
    forward = torch.compile(network) if contestant.compiled else network
    images = images.contiguous(memory_format=layout)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4, fused=contestant.tuned)

    def step() -> float:
        if CUDA:
            torch.cuda.synchronize()
        start = time.perf_counter()
        with torch.autocast(DEVICE.type, torch.bfloat16, enabled=contestant.amp):
            output = forward(images)
            logits = output["out"] if isinstance(output, dict) else output
            loss = cross_entropy(resize_logits(logits.float(), (target.shape[1], target.shape[2])), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if CUDA:
            torch.cuda.synchronize()
        return time.perf_counter() - start

    return step


@contextmanager
def elsewhere(name: str, batch: int, size: int) -> Iterator[Callable[[], float]]:
    """The same, in a process of its own, of a contestant by its name."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, name, batch, size), daemon=True)
    process.start()
    theirs.close()  # so that `recv` ends with the process

    def step() -> float:
        ours.send(None)
        return ours.recv()

    try:
        yield step
    finally:
        process.terminate()
        process.join()


def serve(pipe: Connection, name: str, batch: int, size: int) -> None:
    contestant = (CONTESTANTS | KEEPERS)[name]
    if contestant.tuned and contestant.keeps:
        keep_freed_memory()
    step = stepper(contestant, batch, size)
    while True:
        pipe.recv()
        pipe.send(step())


def measure(progress: Progress, *, rounds: int = 7) -> tuple[list[Row], Table]:
    """Rows for the table of all ratios, and a table of what the contestants are."""
    torch.backends.cudnn.benchmark = True
    what = f"steps of {BATCH} x {SIZE} px"
    if CUDA:
        turns = {name: stepper(contestant, BATCH, SIZE) for name, contestant in CONTESTANTS.items()}
        times = in_turns(turns, rounds=rounds, progress=progress, what=what)
        return _gpu_rows(times), _details(times)
    with ExitStack() as stack:
        turns = {name: stack.enter_context(elsewhere(name, BATCH, SIZE)) for name in CONTESTANTS}
        times = in_turns({**turns, "product": product}, rounds=rounds, progress=progress, what=what)
    with ExitStack() as stack:
        turns = {name: stack.enter_context(elsewhere(name, *LARGE)) for name in KEEPERS}
        large = in_turns(turns, rounds=rounds, progress=progress, what="steps of {} x {} px".format(*LARGE))
    return [*_cpu_rows(times), _row(large, *KEEPERS, "", ", {} x {} px".format(*LARGE))], _details(times)


def _row(times: dict[str, list[float]], ours: str, theirs: str, target: str, note: str = "") -> Row:
    shown = [f"{1000 * statistics.median(times[name]):.0f} ms" for name in (ours, theirs)]
    precision = "" if CUDA or theirs in KEEPERS else ", bf16 channels-last" if "tuned" in theirs else ", fp32"
    beside = f"{theirs}{precision} {shown[1]}"
    return Row(f"step, R-101 {ours}{note}", shown[0], beside, ratios(times[theirs], times[ours]), target)


def _cpu_rows(times: dict[str, list[float]]) -> list[Row]:
    return [
        _row(times, "V3 OS 8", "torchvision V3 OS 8", ">= 2.5", " (the same network)"),
        _row(times, "V3 OS 16", "torchvision V3 OS 8", ">= 2.5", " (stride as we train)"),
        _row(times, "V3+ OS 16", "torchvision V3 OS 8", ""),
        _row(times, "V3+ OS 16", "V3+ OS 16, plain fp32", ""),
        _row(times, "V3+ OS 16", "smp V3+ OS 16", ""),
        _row(times, "V3+ OS 16", "smp V3+ OS 16, tuned", ""),
        Row("step on a GPU, R-101, 16 x 512 px", "", "the faster of smp and torchvision: no CUDA device", [], ">= 1.3"),
    ]


def _gpu_rows(times: dict[str, list[float]]) -> list[Row]:
    rows = []
    for ours in ("V3+ OS 16", "V3+ OS 16, compiled"):
        rows += [_row(times, ours, theirs, ">= 1.3") for theirs in ("smp V3+ OS 16", "torchvision V3 OS 8")]
    return rows


def product() -> float:
    """Seconds of a matrix product in bfloat16, the fastest of several: how far this CPU gets at this time."""
    a, b = torch.randn(2, EDGE, EDGE, dtype=torch.bfloat16)
    fastest = math.inf
    for _ in range(20):
        started = time.perf_counter()
        a @ b
        fastest = min(fastest, time.perf_counter() - started)
    return fastest


def _peak(times: dict[str, list[float]]) -> float | None:
    """FLOP/s in bfloat16; none for a GPU whose data sheet is not known here."""
    if CUDA:
        return next((flops for name, flops in PEAKS.items() if name in torch.cuda.get_device_name()), None)
    return 2 * EDGE**3 / statistics.median(times["product"])


def _details(times: dict[str, list[float]]) -> Table:
    peak = _peak(times)
    table = Table("step", "median ms", "min - max", "images/s", "M par.", "GMAC/image", "share of bf16 peak")
    table.caption = f"peak {peak / 1e12:.2f} TFLOP/s" if peak else None
    for name, contestant in CONTESTANTS.items():
        seconds = statistics.median(times[name])
        parameters, multiplications = cost(contestant)
        share = f"{100 * 6 * multiplications * BATCH / seconds / peak:.0f} %" if peak else ""  # forward and twice back
        spread = f"{1000 * min(times[name]):.0f} - {1000 * max(times[name]):.0f}"
        numbers = (f"{1000 * seconds:.0f}", spread, f"{BATCH / seconds:.1f}", f"{parameters / 1e6:.1f}")
        table.add_row(name, *numbers, f"{multiplications / 1e9:.1f}", share)
    return table


def cost(contestant: Contestant) -> tuple[int, float]:
    """Parameters, and multiplications of one image's forward pass."""
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        network = contestant.build().eval()
        network(torch.empty(1, 3, SIZE, SIZE))
    return sum(p.numel() for p in network.parameters()), counter.get_total_flops() / 2


def start(progress: Progress, *, rounds: int = 5) -> list[Row]:
    """Seconds until `python -m src.train --help` has ended."""

    def turn() -> float:
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "src.train", "--help"], capture_output=True, check=True)
        return time.perf_counter() - started

    times = in_turns({"help": turn}, rounds=rounds, progress=progress, what="start-up")["help"]
    return [Row("src.train --help", f"{statistics.median(times):.2f} s", "2 s", [t / 2 for t in times], "<= 1")]
