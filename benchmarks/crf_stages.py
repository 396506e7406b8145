"""What the stages of a CRF run cost beside the memory traffic they cannot do without: `make bench-crf`'s second table.

The bound of a stage is the bytes that it must read and write once, over the bandwidth of copying as many bytes of
arrays of that size here and now; rows that fit the caches move faster, so a ratio below 1 is possible.
"""

import time

import numba
import numpy as np
from numba import njit, prange
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.crf_data import Scene, model
from src.crf.cpu import meanfield, planes
from src.crf.cpu.construction import build
from src.crf.cpu.jit import each
from src.crf.cpu.lattice import blur
from src.crf.cpu.simd import rows
from src.crf.model import bilateral_features
from src.crf.permutohedral import alpha


@njit(parallel=True)
def copy(source, target):
    for i in prange(len(source)):
        target[i] = source[i]


@njit(nogil=True)
def update(first, last, unary, spatial, bilateral, flow_s, flow_b, weight_s, weight_b, kept, result):
    each(
        len(bilateral.bands) - 1, meanfield._update,
        (first, last, unary, spatial, bilateral, flow_s, flow_b, flow_s.values, flow_b.values, weight_s, weight_b,
         kept, result),
    )  # fmt: skip


@njit(nogil=True)
def blurred(lattice, flow):
    return blur(lattice.first, lattice.members, lattice.neighbours, flow.splatted, flow.values, flow.spare)


def best(call, repeats: int = 15) -> float:
    """Milliseconds, the median."""
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return 1e3 * float(np.median(times))


def bandwidth(size: int) -> float:
    """Bytes per ms, reads and writes, of copying an array of `size` bytes."""
    source, target = np.ones(size // 8), np.empty(size // 8)
    return 2 * source.nbytes / best(lambda: copy(source, target))


def stages(scene: Scene, label_floor: float, threads: int) -> Table:
    numba.set_num_threads(threads)
    p = model("krahenbuhl2011").parameters
    flat = scene.probs.reshape(len(scene.probs), -1)
    points = flat.shape[1]
    kept = np.flatnonzero(flat.max(1) >= label_floor)
    width = meanfield.padded(len(kept))
    unary, result = rows(points, width), np.zeros_like(flat)
    spatial = meanfield.spatial_lattice(*scene.rgb.shape[:2], p.spatial_sigma)
    features = bilateral_features(scene.rgb, "raw", p.bilateral_sigma_xy, p.bilateral_sigma_rgb)
    bilateral = build(features)
    flows = []
    for lattice in (spatial, bilateral):
        sizes = len(lattice.vertex), len(lattice.vertex), len(lattice.first), len(lattice.first)
        flows.append(meanfield._Flow(*(rows(size, width) for size in sizes)))
        for part in flows[-1]:
            part.view(np.float32)[:] = 0
    weights = np.float32(3 * alpha(2)), np.float32(10 * alpha(5))

    def walk(first: bool, last: bool) -> None:
        update(first, last, unary, spatial, bilateral, *flows, *weights, kept, result)

    row, corner = 4 * width, 8  # bytes: a row of labels; weight and slot of one corner of a point
    points_read = points * (row + 9 * corner + 8)

    def blur_bytes(lattice) -> int:
        vertices, axes = len(lattice.first) - 1, len(lattice.neighbours)
        return (len(lattice.vertex) + vertices) * row + axes * vertices * (2 * row + 8)

    measured = {
        "logarithms, transposition": (
            best(lambda: planes.transpose(np.log(flat[kept]), unary, unary.view(np.float32).reshape(-1, width))),
            points * (12 * len(kept) + row),
        ),
        "construction, bilateral": (best(lambda: build(features)), points * (5 * 4 + 6 * corner + 4)),
        "splat alone": (best(lambda: walk(True, False)), points_read),
        "slice, softmax, result": (best(lambda: walk(False, True)), points_read + points * 4 * len(kept)),
        "slice, softmax, splat": (best(lambda: walk(False, False)), points_read),
        "blur, spatial": (best(lambda: blurred(spatial, flows[0])), blur_bytes(spatial)),
        "blur, bilateral": (best(lambda: blurred(bilateral, flows[1])), blur_bytes(bilateral)),
    }
    table = Table(f"{len(kept)} labels, {threads} threads", "ms", "MB", "bound, ms", "ms / bound", box=box.SIMPLE_HEAD)
    for name, (took, moved) in measured.items():
        bound = moved / bandwidth(moved // 2)
        table.add_row(name, f"{took:.2f}", f"{moved / 1e6:.1f}", f"{bound:.2f}", f"{took / bound:.1f}")
    return table


def show(scene: Scene, threads: int, console: Console) -> None:
    """Both modes on one image."""
    height, width, _ = scene.rgb.shape
    console.print(
        f"stages of krahenbuhl2011 on {scene.name}, {height} x {width} px; an iteration is the last three rows"
    )
    for label_floor in (0.0, 0.01):
        console.print(stages(scene, label_floor, threads))
