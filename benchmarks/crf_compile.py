"""How long the first dense CRF waits for its compilation: `python -m benchmarks.crf_compile`.

Each row's seconds are of fresh processes with an empty cache: of the first `infer` for a 375 x 500 image of 21 labels,
Numba's import included. "ahead" is what is left of it after `ahead.start()` and a pause, as other work would make.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

PRESETS = ("krahenbuhl2011", "deeplabv2")
ROWS = {f"{preset} {mode}": (preset, mode, "0") for preset in PRESETS for mode in ("exact", "default")}


def first(preset: str, mode: str, pause: str) -> None:
    """Print the seconds of the first call, then of the second."""
    import numpy as np

    from benchmarks.crf_data import model
    from src.crf.cpu import ahead

    crf = model(preset, **({"label_floor": 0.0} if mode == "exact" else {}))
    rng = np.random.default_rng(0)
    blocks = rng.integers(0, 4, (8, 10)).repeat(47, 0).repeat(50, 1)[:375]  # of four labels
    logits = rng.normal(size=(21, 375, 500)) + 12 * (np.arange(21)[:, None, None] == blocks)
    probs = (np.exp(logits) / np.exp(logits).sum(0)).astype(np.float32)
    rgb = (50 * blocks[..., None] + rng.integers(0, 40, (375, 500, 3))).astype(np.uint8)
    if float(pause):
        ahead.start()
        time.sleep(float(pause))
    for _ in range(2):
        start = time.perf_counter()
        from src.crf.cpu import meanfield

        meanfield.infer(probs, rgb, [crf], threads=2)
        print(time.perf_counter() - start)


def measure(*arguments: str) -> list[float]:
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"NUMBA_CACHE_DIR": folder}
        command = [sys.executable, "-m", "benchmarks.crf_compile", "--first", *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return [float(line) for line in done.stdout.split()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3, help="fresh processes per row")
    parser.add_argument("--pause", default="15", help="seconds of other work, for the row ahead")
    parser.add_argument("--first", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.first:
        first(*options.first)
        return
    rows = ROWS | {"krahenbuhl2011 exact, ahead": ("krahenbuhl2011", "exact", options.pause)}
    console = Console()
    times: dict[str, list[list[float]]] = {name: [] for name in rows}
    for _ in track(range(options.repeats), description="fresh processes", transient=True, console=console):
        for name, arguments in rows.items():
            times[name].append(measure(*arguments))
    table = Table("seconds of the first call", "least", "median", "most", "second call", box=box.SIMPLE_HEAD)
    for name, found in times.items():
        firsts, seconds = zip(*found, strict=True)
        spread = [min(firsts), statistics.median(firsts), max(firsts), statistics.median(seconds)]
        table.add_row(name, *(f"{value:.2f}" for value in spread))
    console.print(table)


if __name__ == "__main__":
    main()
