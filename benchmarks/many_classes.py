"""What scoring an image costs for few and for many classes: `python -m benchmarks.many_classes`.

Each row is a fresh process that scores made images of 375 x 500 px with the variants `none`, a CRF, and `fill`: seconds
per image after the first, the peak of its memory, and the bytes of the counts of 2,000 such images on the disk.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

IMAGES = 4


def score(classes: int, preset: str) -> None:
    """Print seconds per image, MB at the peak, and MB of the counts of 2,000 images."""
    import numpy as np
    import torch

    from benchmarks.crf_data import model
    from src.core.files.whole import write_arrays
    from src.crf.engines import ENGINES
    from src.models.inference import PLAIN
    from src.scoring.fusion import bound
    from src.scoring.scorer import VariantScorer
    from src.scoring.variants import Variant

    crf = model(preset)
    variants = {"none": Variant(), "crf": Variant(crf), "fill": Variant(crf, bound("fill", {}, 0, "fill"))}
    rng = np.random.default_rng(0)
    blocks = rng.integers(0, classes, (8, 10)).repeat(47, 0).repeat(50, 1)[:375]
    rgb = (blocks[..., None] * 37 % 200 + rng.integers(0, 40, (375, 500, 3))).astype(np.uint8)
    target = torch.from_numpy(blocks)
    seconds = []
    with VariantScorer(variants, classes, ENGINES["numba"]("cpu", 2)) as scorer:
        for k in range(IMAGES):
            logits = torch.randn(classes, 375, 500) + 6 * torch.nn.functional.one_hot(target, classes).permute(2, 0, 1)
            start = time.perf_counter()
            scorer.add(f"{k}", {PLAIN: logits.softmax(0)}, rgb, target)
            scorer.finish() if k == IMAGES - 1 else None
            seconds.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    scorer.matrices.images *= 2000 // IMAGES
    with tempfile.TemporaryDirectory() as folder:
        write_arrays(Path(folder, "counts.npz"), scorer.matrices.rows())
        print(sum(seconds[1:]) / (IMAGES - 1), peak, Path(folder, "counts.npz").stat().st_size / 1e6)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3, help="fresh processes per row")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        score(int(arguments.one[0]), arguments.one[1])
        return
    console = Console()
    table = Table("classes", "CRF", "s per image (min, max)", "peak MB", "counts of 2,000 images, MB")
    rows = [(classes, preset) for classes in (21, 150) for preset in ("krahenbuhl2011", "deeplabv2")]
    for classes, preset in track(rows, description="scoring", console=console, transient=True):
        found = []
        for _ in range(arguments.repeats):
            command = [sys.executable, "-m", "benchmarks.many_classes", "--one", str(classes), preset]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found.append([float(word) for word in done.stdout.split()])
        seconds, peak, size = (sorted(column) for column in zip(*found, strict=True))
        middle = f"{statistics.median(seconds):.2f} ({seconds[0]:.2f}, {seconds[-1]:.2f})"
        table.add_row(str(classes), preset, middle, f"{peak[-1]:.0f}", f"{size[0]:.1f}")
    console.print(table)


if __name__ == "__main__":
    main()
