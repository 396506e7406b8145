"""Times of the stages of the dense CRF on a GPU beside the memory traffic that they cannot do without.

The bound of a stage is the bytes that it must read and write at least, each input and each output once, over the
bandwidth of the card's data sheet. Rows that are gathered several times count once.
"""

import statistics
import time
from collections.abc import Callable
from unittest import mock

import numpy as np
import torch

from src.crf.gpu import features
from src.crf.gpu import sparse as plain
from src.crf.gpu.batch import Batch
from src.crf.model import DenseCRF

BANDWIDTH = {"H100": 3350.0, "H200": 4800.0, "A100": 2039.0}  # GB/s, of the modules with HBM
NUMBER = 4  # bytes


def timed(call: Callable[[], object], repeats: int) -> list[float]:
    """Milliseconds of each of several calls on the device's clock; the first call is not counted."""
    call()
    if not torch.cuda.is_available():
        starts = [time.perf_counter() for _ in range(repeats + 1) if call() is not NotImplemented]
        return [1e3 * took for took in np.diff(starts)]
    events = [(torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)) for _ in range(repeats)]
    for begin, end in events:
        torch.cuda.synchronize()
        begin.record()
        call()
        end.record()
    torch.cuda.synchronize()
    return [begin.elapsed_time(end) for begin, end in events]


def bandwidth() -> float:
    """Bytes per ms."""
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
    return next((1e6 * rate for card, rate in BANDWIDTH.items() if card in name), 1e8)


class Stages:
    """A table of stages; one that fails does not stop the next ones."""

    def __init__(self, images: int, repeats: int) -> None:
        self.images, self.repeats = images, repeats
        self.found: dict[str, dict[str, float]] = {}

    def add(self, name: str, call: Callable[[], object], moved: float, times: int = 1) -> None:
        """Time a stage that moves so many bytes at least, and happens so many times in a run."""
        try:
            took = timed(call, self.repeats)
        except Exception as error:
            print(f"    {name} FAILED: {type(error).__name__}: {error}", flush=True)
            return
        median, bound = statistics.median(took), moved / bandwidth()
        self.found[name] = {
            "ms": median, "least": min(took), "most": max(took), "MB": moved / 1e6, "bound ms": bound,
            "times the bound": median / max(bound, 1e-9), "times in a run": times,
            "ms per image of a run": times * median / self.images,
        }  # fmt: skip
        print(
            f"    {name:22} {median:8.3f} ms ({min(took):.3f}-{max(took):.3f}), {moved / 1e6:7.0f} MB, "
            f"{median / max(bound, 1e-9):5.1f} x bound, {times:2} a run: {times * median / self.images:.3f} ms / image",
            flush=True,
        )


def profile(call: Callable[[], object]) -> dict[str, object]:
    """Kernels of one call by their time on the device, the longest first, in microseconds."""
    kinds = torch.profiler.ProfilerActivity
    torch.cuda.synchronize()
    with torch.profiler.profile(activities=[kinds.CPU, kinds.CUDA]) as found:
        call()
        torch.cuda.synchronize()
    rows = [(row.key[:70], row.count, row.self_device_time_total) for row in found.key_averages()]
    rows = sorted((row for row in rows if row[2] > 0), key=lambda row: -row[2])[:25]
    for name, count, took in rows:
        print(f"    {took:10.0f} us  {count:5}  {name}", flush=True)
    return {name: {"times": count, "us": took} for name, count, took in rows}


def _prepared(scenes: tuple[list[np.ndarray], list[np.ndarray]], device: torch.device):
    probs, rgb = [torch.from_numpy(one).to(device) for one in scenes[0]], scenes[1]
    batch = Batch(tuple(image.shape[:2] for image in rgb), device)
    return probs, rgb, batch, torch.stack([one.amax((1, 2)) for one in probs])


def _blur_bytes(vertices: int, axes: int, row: int) -> float:
    return axes * vertices * (2 * row + 2 * NUMBER)


@torch.inference_mode()
def fused(scenes: tuple[list[np.ndarray], list[np.ndarray]], model: DenseCRF, device: torch.device, repeats: int):
    """With our kernels."""
    from src.crf.gpu.fused import Rows
    from src.crf.gpu.lattice import build

    p, (probs, rgb, batch, highest) = model.parameters, _prepared(scenes, device)
    stages, points = Stages(len(rgb), repeats), sum(batch.points)
    planes = torch.cat([one.reshape(-1) for one in probs])
    key = model.guidance, p.bilateral_sigma_xy, p.bilateral_sigma_rgb
    stages.add("probabilities", lambda: torch.cat([one.reshape(-1) for one in probs]).aminmax(), 3 * planes.nbytes)
    stages.add("features, bilateral", lambda: features.bilateral(batch, rgb, *key), points * (3 + 5 * NUMBER))
    given = {"spatial": features.positions(batch, p.spatial_sigma), "bilateral": features.bilateral(batch, rgb, *key)}
    lattices = {name: build(one, batch) for name, one in given.items()}
    rows = Rows(planes, highest, batch, p.label_floor)
    row = NUMBER * rows.q.shape[1]
    for name, lattice in lattices.items():
        axes, vertices = len(lattice.vertex), lattice.neighbours.shape[2]
        print(
            f"    {name}: {vertices} vertices, {len(lattice.heavy[0])} of them heavy, {len(lattice.begins)} segments; "
            f"rows of {row // NUMBER}"
        )
        outputs = points * (axes * 4 + 1) * NUMBER + 2 * axes * vertices * NUMBER
        inputs = points * (axes - 1) * NUMBER
        stages.add(f"construction, {name}", lambda n=name: build(given[n], batch), inputs + outputs)
    stages.add("to rows", lambda: Rows(planes, highest, batch, p.label_floor), 2 * points * row)
    for name, lattice in lattices.items():
        axes, vertices = len(lattice.vertex), lattice.neighbours.shape[2]
        moved = points * row + 2 * points * axes * NUMBER + vertices * row
        stages.add(f"splat, {name}", lambda one=lattice: one.splat(rows.q), moved, p.iterations)
        values = lattice.splat(rows.q)
        stages.add(
            f"blur, {name}", lambda one=lattice, v=values: one.blur(v), _blur_bytes(vertices, axes, row), p.iterations
        )
    one, two = lattices["spatial"], lattices["bilateral"]
    flows = [lattice.blur(lattice.splat(rows.q)) for lattice in (one, two)]
    moved = 2 * points * row + points * NUMBER * (2 * 9 + 2) + sum(flow.nbytes for flow in flows)
    arguments = flows[0], one, p.spatial_weight, flows[1], two, p.bilateral_weight
    stages.add("slice and softmax", lambda: rows.update(*arguments), moved, p.iterations)
    stages.add("to planes", rows.answer, points * row + 2 * planes.nbytes)
    if p.label_floor == 0:
        _variants(stages, given["bilateral"], batch, rows, arguments)
    names = torch.randint(0, 2**45, (6 * points,), device=device)
    stages.add("a sort as bilateral's", lambda: names.sort(stable=True), 4 * names.nbytes, 0)
    return stages.found


@torch.inference_mode()
def sparse(scenes: tuple[list[np.ndarray], list[np.ndarray]], model: DenseCRF, device: torch.device, repeats: int):
    """With sparse products and tensor operations."""
    p, (probs, rgb, batch, highest) = model.parameters, _prepared(scenes, device)
    stages, points = Stages(len(rgb), repeats), sum(batch.points)
    key = model.guidance, p.bilateral_sigma_xy, p.bilateral_sigma_rgb
    given = {"spatial": features.positions(batch, p.spatial_sigma), "bilateral": features.bilateral(batch, rgb, *key)}
    filters = {name: plain.build(one, batch) for name, one in given.items()}
    kept = (highest >= p.label_floor) | (highest == highest.amax(1, keepdim=True))
    q = torch.cat([one.flatten(1)[kept.any(0)] for one in probs], dim=1).T.contiguous()
    row = NUMBER * q.shape[1]
    for name, one in filters.items():
        axes, vertices = len(one.neighbours), one.neighbours.shape[2]
        outputs = points * (axes * 4 + 1) * NUMBER + 2 * axes * vertices * NUMBER
        moved = points * (axes - 1) * NUMBER + outputs
        stages.add(f"construction, {name}", lambda n=name: plain.build(given[n], batch), moved)
        moved = (points + vertices) * row + 2 * points * axes * NUMBER
        stages.add(f"splat, {name}", lambda f=one: f.splat @ q, moved, p.iterations)
        values = one.splat @ q
        moved = _blur_bytes(vertices, axes, row)
        stages.add(f"blur, {name}", lambda f=one, v=values: plain._blur(v, f.neighbours), moved, p.iterations)
        moved = (points + vertices) * row + 2 * points * axes * NUMBER
        stages.add(f"slice, {name}", lambda f=one, v=values: f.slice @ v, moved, p.iterations)
    stages.add(
        "softmax",
        lambda: (q * (q - q.amax(1, keepdim=True)).exp_()).div_(q.sum(1)[:, None]),
        3 * q.nbytes,
        p.iterations,
    )
    return stages.found


def _variants(stages: Stages, given: torch.Tensor, batch: Batch, rows, arguments) -> None:
    """The constants of our kernels, changed one at a time."""
    from src.crf.gpu import lattice

    for longest in (32, 128, 256):
        with mock.patch.object(lattice, "LONGEST", longest):
            other = lattice.build(given, batch)
        stages.add(f"splat, LONGEST={longest}", lambda one=other: one.splat(rows.q), rows.q.nbytes, 0)
    bilateral = arguments[4]
    values = bilateral.blur(bilateral.splat(rows.q))
    for tile in (512, 2048):
        with mock.patch.object(lattice, "TILE", tile), mock.patch.object(rows, "_V", tile // rows._C):
            stages.add(f"splat, TILE={tile}", lambda: bilateral.splat(rows.q), rows.q.nbytes, 0)
            stages.add(f"blur, TILE={tile}", lambda: bilateral.blur(values), 2 * values.nbytes, 0)
            stages.add(f"slice, TILE={tile}", lambda: rows.update(*arguments), 2 * rows.q.nbytes, 0)
