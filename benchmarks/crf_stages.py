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
from src.crf.cpu import meanfield
from src.crf.cpu.lattices.construction import build
from src.crf.cpu.lattices.lattice import blur
from src.crf.cpu.vectors.jit import each
from src.crf.cpu.vectors.simd import rows
from src.crf.cpu.walk import update
from src.crf.model import SMALLEST, bilateral_features
from src.crf.permutohedral import alpha


@njit(parallel=True)
def copy(source, target):
    for i in prange(len(source)):
        target[i] = source[i]


@njit(nogil=True)
def walk(first, last, unary, lattices, blurred, splatted, weights, lanes, result):
    each(
        len(lattices[1].bands) - 1, update,
        (first, last, unary, lattices, blurred, splatted, weights, lanes, result),
    )  # fmt: skip


@njit(nogil=True)
def blurred_in_place(lattice, values):
    blur(lattice.topology, values)


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


def stages(scene: Scene, preset: str, label_floor: float, threads: int) -> Table:
    """What each stage takes, in the state of the third iteration."""
    numba.set_num_threads(threads)
    p = model(preset).parameters
    flat = scene.probs.reshape(len(scene.probs), -1)
    points = flat.shape[1]
    kept = np.flatnonzero(flat.max(1) >= label_floor)
    lanes, result = meanfield._lanes(kept), np.zeros_like(flat)
    unary, width = meanfield.unary_rows(flat, kept, SMALLEST), len(lanes)
    spatial = meanfield.spatial_lattice(*scene.rgb.shape[:2], p.spatial_sigma)
    features = bilateral_features(scene.rgb, "raw", p.bilateral_sigma_xy, p.bilateral_sigma_rgb)
    lattices = spatial, build(features)
    a, b = (tuple(rows(len(lattice.vertex), width) for lattice in lattices) for _ in range(2))
    weights = np.float32(p.spatial_weight * alpha(2)), np.float32(p.bilateral_weight * alpha(5))

    def step(first: bool, last: bool) -> None:
        walk(first, last, unary, lattices, a, b, weights, lanes, result.reshape(-1))

    def blur_one(number: int) -> None:
        blurred_in_place(lattices[number], b[number])

    for iteration in range(3):
        step(iteration == 0, False)
        blur_one(0), blur_one(1)
        a, b = b, a
    row, corner = 4 * width, 8  # bytes: a row of labels; weight and slot of one corner of a point
    points_read = points * (row + 9 * corner + 8)

    def blur_bytes(lattice) -> int:
        walked = sum(int(edges[-1]) for edges in lattice.topology.edges)
        return walked * (2 * row + 4) + (len(lattice.vertex) - int(lattice.owned[-1])) * 2 * row

    measured = {
        "logarithms, transposition": (
            best(lambda: meanfield.unary_rows(flat, kept, SMALLEST)),
            points * (4 * len(kept) + row),
        ),
        "construction, bilateral": (best(lambda: build(features)), points * (5 * 4 + 6 * corner + 4)),
        "splat alone": (best(lambda: step(True, False)), points_read),
        "slice, softmax, result": (best(lambda: step(False, True)), points_read + points * 4 * len(kept)),
        "slice, softmax, splat": (best(lambda: step(False, False)), points_read),
        "blur, spatial": (best(lambda: blur_one(0)), blur_bytes(spatial)),
        "blur, bilateral": (best(lambda: blur_one(1)), blur_bytes(lattices[1])),
    }
    title = f"{preset}, {len(kept)} labels, {threads} threads"
    table = Table(title, "ms", "MB", "bound, ms", "ms / bound", box=box.SIMPLE_HEAD)
    for name, (took, moved) in measured.items():
        bound = moved / bandwidth(moved // 2)
        table.add_row(name, f"{took:.2f}", f"{moved / 1e6:.1f}", f"{bound:.2f}", f"{took / bound:.1f}")
    return table


def show(scene: Scene, threads: int, console: Console) -> None:
    """Both models and both modes on one image."""
    height, width, _ = scene.rgb.shape
    console.print(f"stages on {scene.name}, {height} x {width} px; an iteration is the last three rows")
    for preset in ("krahenbuhl2011", "deeplabv2"):
        for label_floor in (0.0, 0.01):
            console.print(stages(scene, preset, label_floor, threads))
