"""How long a report takes on synthetic counts of the whole of VOC2012 val: `make bench-report`."""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console

from tests.reporting.conftest import make_run


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1449)
    parser.add_argument("--rows", type=int, default=49)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=1)
    options = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        with console.status("making counts"):
            for row in range(options.rows):
                for seed in range(options.seeds):
                    name, variants = f"loss{row:02}", {"none": 0.8 + 0.002 * row}
                    path = Path(folder, "runs", f"{name}-{seed}")
                    make_run(path, loss=name, seed=seed, variants=variants, images=options.images, picture=True)
        times = []
        for _ in range(options.repeats):
            started = time.perf_counter()
            command = [sys.executable, "-m", "src.report", f"runs={folder}/runs", f"output={folder}/report"]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            times.append(time.perf_counter() - started)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / (2**20 if sys.platform == "linux" else 2**30)
    console.print(
        f"{options.images} images, {options.rows} rows, {options.seeds} seeds, 10,000 swaps: "
        f"{np.median(times):.1f} s ({min(times):.1f} - {max(times):.1f}) as a whole command, peak {peak:.2f} GiB"
    )


if __name__ == "__main__":
    main()
