"""Our dense CRF beside pydensecrf on real images, in one run: `make bench-crf`. Needs pydensecrf2."""

import argparse
import os
import subprocess
import sys
import time
from functools import partial

import numpy as np
import torch
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks import crf_dropin, crf_stages
from benchmarks.crf_data import SAMPLE, Scene, model, scenes
from src.core.machine import keep_freed_memory
from src.crf import reference as pydensecrf
from src.crf.cpu import meanfield
from src.crf.cpu.vectors import jit
from src.crf.engines import NumbaEngine, PyDenseCRFEngine, TorchEngine
from src.models.inference import PLAIN
from src.scoring import fusion
from src.scoring.scorer import VariantScorer
from src.scoring.variants import Variant

THREADS = 2
PRESETS = ("krahenbuhl2011", "deeplabv2")
TARGETS = {"krahenbuhl2011": ("8", "15"), "deeplabv2": ("5", "12")}  # exact, default


def seconds(call):
    start = time.perf_counter()
    answer = call()
    return time.perf_counter() - start, answer


def one_call(found: list[Scene], preset: str, table: Table, console: Console) -> None:
    """Times of single calls, alternating, and what the labels are worth."""
    exact, default = model(preset, label_floor=0.0), model(preset)
    times: dict[str, list[float]] = {"pydensecrf": [], "exact": [], "default": []}
    worst, unequal, equal = 0.0, 0, []
    for scene in track(found, description=f"{preset}: one call each", transient=True, console=console):
        meanfield.infer(
            scene.probs, scene.rgb, [exact], threads=THREADS
        )  # as in use: the size's spatial lattice is known
        took, (reference,) = seconds(lambda: pydensecrf.infer(scene.probs, scene.rgb, [exact]))
        times["pydensecrf"].append(took)
        for name, crf in (("exact", exact), ("default", default)):
            took, (q,) = seconds(lambda crf=crf: meanfield.infer(scene.probs, scene.rgb, [crf], threads=THREADS))
            times[name].append(took)
            same = q.argmax(0) == reference.argmax(0)
            if name == "exact":
                second, first = np.sort(reference, axis=0)[-2:]
                worst = max(worst, float(np.abs(q - reference).max()))
                unequal += int((~same & (first - second > 1e-4)).sum())
            else:
                equal.append(float(same.mean()))
    reference = np.array(times["pydensecrf"])
    for name, target in (("exact", TARGETS[preset][0]), ("default", TARGETS[preset][1])):
        ratios = reference / np.array(times[name])
        row(table, f"{preset[:11]} {name}", times[name], times["pydensecrf"], ratios, target)
    console.print(f"{preset}, exact: largest |Q - Q_ref| {worst:.1e}; {unequal} labels differ where clear by 1e-4")
    console.print(f"{preset}, default: {100 * np.mean(equal):.4f} % equal labels, least {100 * min(equal):.3f} %")


def row(table: Table, name: str, ours: list[float], theirs: list[float], ratios: np.ndarray, target: str) -> None:
    low, high = np.percentile(ratios, [25, 75])
    table.add_row(
        name,
        f"{1e3 * np.median(ours):.1f}",
        f"{1e3 * np.median(theirs):.1f}",
        f"{np.median(ratios):.2f} x",
        f"{low:.2f}-{high:.2f}",
        target,
    )


def evaluation(found: list[Scene], table: Table, console: Console, repeats: int) -> None:
    """Scoring of all images with four variants; the reference runs each variant's CRF anew."""
    raw, normalized = model("krahenbuhl2011"), model("krahenbuhl2011", guidance="normalized")
    variants = {
        "raw": Variant(raw),
        "raw_fill": Variant(raw, partial(fusion.fill, background=0)),
        "normalized": Variant(normalized),
        "normalized_fill": Variant(normalized, partial(fusion.fill, background=0)),
    }
    torch.set_num_threads(THREADS)

    def score(engine, chosen, images=found):
        scorer = VariantScorer(chosen, 21, engine)  # not as a context manager: the engine is used again
        for scene in images:
            scorer.add(scene.name, {PLAIN: scene.logits.softmax(0)}, scene.rgb, scene.target)
        scorer.finish()

    ours, theirs = [], []
    for _ in track(range(repeats), description="whole evaluation", transient=True, console=console):
        engine, reference = NumbaEngine(THREADS, beside=False), PyDenseCRFEngine(THREADS)
        score(reference, {"raw": variants["raw"]}, found[: 2 * THREADS])  # starts the processes
        ours.append(seconds(lambda: score(engine, variants))[0])
        theirs.append(seconds(lambda: [score(reference, {n: v}) for n, v in variants.items()])[0])
        engine.close(cancel=False)
        reference.close(cancel=False)
    ratios = np.array(theirs) / np.array(ours)
    row(table, f"{len(found)} images, 4 variants", ours, theirs, ratios, "15")


def gpu(found: list[Scene], table: Table, console: Console) -> None:
    """Batches of 16 on the GPU, per image, against one call of the reference."""
    if not torch.cuda.is_available():
        console.print("no GPU here: its row is left out")
        return
    engine, exact = TorchEngine(torch.device("cuda")), model("krahenbuhl2011", label_floor=0.0)
    times, equal, reference = [], [], []
    for begin in range(0, len(found), engine.batch):
        batch = found[begin : begin + engine.batch]
        probs = [torch.from_numpy(scene.probs).cuda() for scene in batch]
        for _ in range(3):
            torch.cuda.synchronize()
            start = time.perf_counter()
            answer = engine.submit(probs, [scene.rgb for scene in batch], [model("krahenbuhl2011")]).result()
            torch.cuda.synchronize()
            took = (time.perf_counter() - start) / len(batch)
        times.append(took)
        for scene, (q,) in zip(batch, answer, strict=True):
            took, (expected,) = seconds(lambda scene=scene: pydensecrf.infer(scene.probs, scene.rgb, [exact]))
            reference.append(took)
            equal.append(float((q.argmax(0).cpu().numpy() == expected.argmax(0)).mean()))
    row(table, "GPU, batch of 16", times, reference, np.median(reference) / times, "100")
    console.print(f"{torch.cuda.get_device_name()}: {100 * np.mean(equal):.4f} % equal labels")


def memory(table: Table) -> None:
    """Peak of one 375 x 500 image beyond what the process held before, each back end in a process of its own."""
    peaks = {}
    for name in ("cpu", "pydensecrf"):
        command = [sys.executable, "-m", "benchmarks.crf_data", name]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        peaks[name] = float(done.stdout)
    ratio = peaks["cpu"] / peaks["pydensecrf"]
    table.add_row(
        "exact, peak memory, MB", f"{peaks['cpu']:.0f}", f"{peaks['pydensecrf']:.0f}", f"{ratio:.2f} x", "", "<= 2"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=3, help="of the whole evaluation")
    options = parser.parse_args()
    console = Console()
    if not SAMPLE.is_dir():
        sys.exit(f"error: the real sample is not at {SAMPLE}; SEGLAB_SAMPLE=FOLDER says where it is.")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])
    keep_freed_memory()  # as the commands do
    found = scenes(options.images)
    table = Table("ms, medians", "ours", "pydensecrf", "ratio", "quartiles", "target", box=box.SIMPLE_HEAD)
    for preset in PRESETS:
        one_call(found, preset, table, console)
    jit.MOST_THREADS = THREADS  # pydensecrf's interface has no word for it
    for name, ours, theirs, target in crf_dropin.rows(found, options.repeats):
        row(table, name, ours, theirs, np.array(theirs) / np.array(ours), target)
    evaluation(found, table, console, options.repeats)
    gpu(found, table, console)
    memory(table)
    console.print(table)
    crf_stages.show(found[min(2, len(found) - 1)], THREADS, console)


if __name__ == "__main__":
    main()
