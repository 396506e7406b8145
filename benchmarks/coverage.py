"""How often verdicts and intervals are right, in worlds whose truth is known: `make bench-coverage`.

Parts: `false` verdicts without any difference, `family`: the same among many rows, `hold`: how often intervals hold the
truth, `power` to find a true difference, beside the statistics before.
"""

import argparse
import os
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks import before
from benchmarks.worlds import Resampled, Simulated, read_counts
from src.reporting.statistics.verdicts import analyse

IMAGES = (1, 2, 3, 5, 8, 10, 20, 40, 200, 1449)
SEEDS = ((1, 1), (2, 2), (3, 3), (5, 5), (1, 2), (1, 3), (1, 5), (2, 5))
SWAPS = 400


def decided(world, *, count, seeds, repeats, statistics="ours"):
    """(repeats, rows - 1) whether a row is called better or worse than the first."""
    found = []
    for repeat in range(repeats):
        rows = world.draw(np.random.default_rng([repeat, count, *seeds]), count, seeds)
        if statistics == "before":
            found.append(before.verdicts(rows, resamples=SWAPS, seed=repeat))
        else:
            differences = analyse(rows, [None, *[0] * (len(rows) - 1)], swaps=SWAPS, seed=repeat).differences[1:]
            found.append([one.corrected[0] < 0.05 for one in differences])
    return np.array(found)


def wrong(world, **options):
    """Share of tables without any difference that have a verdict all the same."""
    return decided(world, **options).any(1).mean()


def held(world, *, count, seeds, repeats):
    """Shares: of tables with an interval of the last row; of these intervals that hold the truth; of differences'.

    The truth of a row is the mean of the true IoU of those classes that occur in the drawn images.
    """
    truth = world.truth()
    rows_held, differences_held = [], []
    for repeat in range(repeats):
        rows = world.draw(np.random.default_rng([repeat, count, *seeds]), count, seeds)
        found = analyse(rows, [None, *[0] * (len(rows) - 1)], swaps=SWAPS, seed=repeat)
        occurs = rows[-1].denominator.sum((0, 1)) > 0
        value = truth[:, occurs].mean(1)
        last, difference = found.estimates[-1], found.differences[-1]
        if not np.isnan(last.low[0]):
            rows_held.append(last.low[0] <= value[-1] <= last.high[0])
        if not np.isnan(difference.low[0]):
            differences_held.append(difference.low[0] <= value[-1] - value[0] <= difference.high[0])
    return len(rows_held) / repeats, _mean(rows_held), len(differences_held) / repeats, _mean(differences_held)


def _mean(found):
    return float(np.mean(found)) if found else float("nan")


def both_powers(world, *, count, seeds, repeats):
    """Shares of tables in which the last row is told from the first: by ours, and by the statistics before."""
    options = {"count": count, "seeds": seeds, "repeats": repeats}
    return [decided(world, **options, statistics=name)[:, -1].mean() for name in ("ours", "before")]


def worlds(counts, seed_sd):
    """Two rows without a difference, in each world."""
    found = {
        "simulated": Simulated(seed_sd=seed_sd),
        "simulated, seeds alike": Simulated(seed_sd=seed_sd, constancy=0.9),
    }
    if counts:
        found["real counts"] = Resampled(counts, (("none", "report_raw", 0.5),) * 2, seed_sd=10 * seed_sd)
    return found


def of_methods(counts, methods, trainings):
    """Rows of real methods; each of several trainings misses some pixels, which moves mIoU by some 0.5 points."""
    lost = (0.0, 0.0) if trainings == 1 else (0.03, 0.007)
    return Resampled(counts, tuple((method, method, 0.0) for method in methods), lost=lost)


def false_verdicts(counts, repeats):
    """Cases for the table of false verdicts."""
    for seeds in SEEDS:
        for name, world in worlds(counts, 0.0 if seeds == (1, 1) else 0.02).items():
            yield [
                ([name, f"{seeds[0]} and {seeds[1]}"], partial(wrong, world, count=count, seeds=seeds, repeats=repeats))
                for count in IMAGES
            ]


def families(repeats):
    """Cases for the table of many rows."""
    kinds = {"independent": {}, "nearly equal": {"likeness": 0.98}}
    for name, options in kinds.items():
        for shared in (False, True):
            for trainings in (1, 3):
                if shared and trainings == 1:
                    continue
                for rows in (5, 48):
                    world = Simulated(
                        seed_sd=0.0 if trainings == 1 else 0.02, gains=(0.0,) * (rows + 1), shared=shared, **options
                    )
                    of = "variants of the same" if shared else "of their own"
                    yield [
                        (
                            [name, str(rows), f"{trainings} {of}"],
                            partial(wrong, world, count=count, seeds=(trainings,) * (rows + 1), repeats=repeats),
                        )
                        for count in (10, 40, 200)
                    ]


def intervals(counts, repeats):
    """Cases for the table of intervals."""
    simulated = [(f"simulated, classes in {share:.0%}", {"presence": share}) for share in (0.05, 0.15)]
    for name, options in simulated:
        for trainings in (1, 3):
            world = Simulated(seed_sd=0.0 if trainings == 1 else 0.02, gains=(0.0, 0.02), **options)
            for count in (20, 40, 100, 200, 1449):
                yield [
                    (
                        [name, str(trainings), str(count)],
                        partial(held, world, count=count, seeds=(trainings,) * 2, repeats=repeats),
                    )
                ]
    for method in ("report_raw", "deeplab_fill") if counts else ():
        for trainings in (1, 3):
            world = of_methods(counts, ("none", method), trainings)
            for count in (20, 40, 100, 200, 1449):
                yield [
                    (
                        [f"real counts, {method}", str(trainings), str(count)],
                        partial(held, world, count=count, seeds=(trainings,) * 2, repeats=repeats),
                    )
                ]


def powers(counts, repeats):
    """Cases for the table of power: tables of five rows and a baseline; the last row is looked at."""
    methods = [name for name in counts if name != "none"]
    for method in ("report_raw", "deeplab_raw", "deeplab_fill"):
        others = [name for name in methods if name != method]
        for trainings in (1, 3):
            world = of_methods(counts, ("none", *others, method), trainings)
            true = np.diff(world.truth().mean(1)[[0, -1]])[0]
            for count in (40, 100, 400, 1449):
                words = [method, str(trainings), str(count), f"{100 * true:+.2f}"]
                yield [(words, partial(both_powers, world, count=count, seeds=(trainings,) * 6, repeats=repeats))]


def _call(function):
    return function()


def _table(console, pool, title, headings, lines):
    lines = list(lines)
    found = pool.map(_call, [function for line in lines for _, function in line])
    table = Table(*headings, title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for line in track(lines, title, console=console, transient=True):
        numbers = [next(found) for _ in line]
        flat = [share for one in numbers for share in (one if isinstance(one, tuple | list) else [one])]
        table.add_row(*line[0][0], *("–" if np.isnan(share) else f"{100 * share:.1f}" for share in flat))
    console.print(table)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=["false", "family", "hold", "power"])
    parser.add_argument("--repeats", type=int, default=400)
    parser.add_argument(
        "--counts", type=Path, help="confusion.npz of variants=report2024, for the world of real counts"
    )
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # of the processes below
    console, repeats = Console(width=None if Console().is_terminal else 150), options.repeats
    counts = read_counts(options.counts) if options.counts else {}
    error = 100 * np.sqrt(0.95 * 0.05 / repeats)
    console.print(f"per cent of {repeats} data sets each: +- {error:.1f} where 5 or 95 is true; {SWAPS} swaps")
    images = [f"{count} im." for count in IMAGES]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for part, title, headings, lines in (
            ("false", "false verdicts", ["world", "seeds", *images], false_verdicts(counts, repeats)),
            (
                "family",
                "any false verdict among many rows",
                ["rows are", "rows", "trainings", "10 im.", "40 im.", "200 im."],
                families(repeats),
            ),
            (
                "hold",
                "intervals that hold the truth",
                ["world", "seeds", "images", "rows with one", "of these hold", "differences with one", "of these hold"],
                intervals(counts, repeats),
            ),
            (
                "power",
                "true differences found, among five rows",
                ["row", "seeds", "images", "true difference", "ours", "before"],
                powers(counts, repeats) if counts else (),
            ),
        ):
            if part in options.parts:
                started = time.perf_counter()
                _table(console, pool, title, headings, lines)
                console.print(f"{time.perf_counter() - started:.0f} s\n")


if __name__ == "__main__":
    main()
