"""How often 95 % intervals hold the truth, on simulated images whose truth is known: `make bench-coverage`."""

import argparse

import numpy as np
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from src.reporting.statistics import Sample, bootstrap, difference, estimate

CLASSES = 21
MEAN = np.ones((CLASSES, 1), dtype=bool)


def images(random, count, seeds, *, presence, seed_sd, gain):
    """Hits and unions (2 rows, S, N, C): background everywhere, other classes rarely, sizes with a heavy tail.

    The second row is the first with `gain` added to the share that is found, and noise of its own. A seed shifts the
    share found in all images of its row.
    """
    here = random.random((count, CLASSES)) < presence
    here[:, 0] = True
    size = np.exp(random.normal(0, 0.8, (count, CLASSES))) * here
    size[:, 0] *= 4
    share = random.beta(6, 1.5, (count, CLASSES))
    hits, unions = [], []
    for added in (0.0, gain):
        shift = added + random.normal(0, seed_sd, (seeds, 1, 1)) + random.normal(0, 0.03, (seeds, count, CLASSES))
        found = np.clip(share + shift, 0, 1)
        lost = size * (1 - found)  # goes to background or to whatever class
        receiver = np.where(random.random((count, CLASSES)) < 0.7, 0, random.integers(0, CLASSES, (count, CLASSES)))
        wrong = np.einsum("snc,nck->snk", lost, np.eye(CLASSES)[receiver])
        hits.append(size * found)
        unions.append(size + wrong)
    return np.stack(hits), np.stack(unions)


def miou(hits, unions):
    return (hits.sum(-2) / unions.sum(-2)).mean(-1)


def truth(**world):
    """MIoU of both rows, over very many images and seeds."""
    return np.mean([miou(*images(np.random.default_rng(k), 5_000, 2, **world)).mean(1) for k in range(100)], axis=0)


def ours(hits, unions, *, resamples):
    """Intervals of the second row and of its difference to the first."""
    rows = [Sample(hit, union, MEAN, tuple(range(len(hit)))) for hit, union in zip(hits, unions, strict=True)]
    first, second = bootstrap(rows, resamples=resamples)
    one, two = estimate(second), difference(second, first)
    return (one.low[0], one.high[0]), (two.low[0], two.high[0])


def strata(hits, unions, *, resamples):
    """The same for one seed by drawing within strata of images by their rarest class."""
    present = hits[0, 0] > 0
    stratum = np.full(len(present), -1)
    for label in np.argsort(present.sum(0)):
        stratum[present[:, label] & (stratum < 0)] = label
    random = np.random.default_rng(0)
    counts = np.zeros((resamples, len(present)))
    for label in np.unique(stratum):
        members = np.flatnonzero(stratum == label)
        counts[:, members] = random.multinomial(len(members), np.full(len(members), 1 / len(members)), resamples)
    with np.errstate(invalid="ignore"):
        drawn = np.stack([np.nanmean(counts @ hits[row, 0] / (counts @ unions[row, 0]), 1) for row in (0, 1)])
    return tuple(tuple(np.quantile(values, [0.025, 0.975])) for values in (drawn[1], drawn[1] - drawn[0]))


def coverage(method, *, count, seeds, repeats, resamples=500, **world):
    """Share of the intervals that hold the truth: of the score, and of the difference."""
    first, second = truth(**world)
    held = []
    for repeat in range(repeats):
        random = np.random.default_rng([repeat, count, seeds])
        one, two = method(*images(random, count, seeds, **world), resamples=resamples)
        held.append((one[0] <= second <= one[1], two[0] <= second - first <= two[1]))
    return np.mean(held, axis=0)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=400)
    options = parser.parse_args()
    console = Console()
    table = Table("images", "seeds", "method", "score", "difference", box=box.SIMPLE_HEAD)
    cases = [(count, 1, name) for count in (40, 200, 1449) for name in ("ours", "strata")]
    cases += [(200, seeds, "ours") for seeds in (2, 3, 5)]
    for count, seeds, name in track(cases, transient=True, console=console):
        world = {"presence": 0.07 if count == 40 else 0.05, "seed_sd": 0.0 if seeds == 1 else 0.02, "gain": 0.02}
        method = ours if name == "ours" else strata
        found = coverage(method, count=count, seeds=seeds, repeats=options.repeats, **world)
        table.add_row(str(count), str(seeds), name, *(f"{100 * share:.1f} %" for share in found))
    error = 100 * np.sqrt(0.95 * 0.05 / options.repeats)
    console.print(f"intervals of 95 % that hold the truth, {options.repeats} simulated data sets each, +- {error:.1f}")
    console.print(table)


if __name__ == "__main__":
    main()
