"""Which differences the verdicts of a sweep will show, from the spreads of a pilot or typical ones. No torch."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from omegaconf import DictConfig
from rich.console import Console

from src.core.errors import InputError
from src.reporting.collect import Cell, of_folders, of_jobs
from src.reporting.counts import read_counts
from src.reporting.request import folders_in
from src.reporting.rows import label_of, rows_of
from src.reporting.statistics.samples import Sample
from src.runs.jobs import Job
from src.runs.listing import tell
from src.training.sweeps.power import Design, Spreads, images_for, limit, parts_of, seeds_for, smallest

POINT = 0.01
_SEEDS = (2, 3, 5, 10, 20)
# The table `losses` of `experiments/results`: 12 trainings, 7 classes of VOC, 400 images.
TYPICAL = Spreads(images=0.0, seeds=0.0103, interaction=0.182)
# The variant deeplabv2_raw of `crf_fusion_own` there, against the network alone: three trainings, the same images.
TYPICAL_SHARED = Spreads(images=0.030, seeds=0.0029, interaction=0.046, shared=True)
_TYPICAL = "four losses of experiments/results/losses, 12 trainings, 400 real images"
_TYPICAL_VARIANTS = "a CRF of experiments/results/crf_fusion_own, 3 trainings, 400 real images"


@dataclass(frozen=True)
class Question:
    """What a sweep compares.

    Attributes:
        seeds: trainings of a row, the fewest of any.
        compared: rows that are compared with a baseline.
        trained: rows with trainings of their own.
        shared: whether all rows are variants of the same trainings.
    """

    seeds: int
    compared: int
    trained: int
    shared: bool


def done_runs(config: DictConfig, jobs: Sequence[Job]) -> list[Cell]:
    """The runs of the pilot that have scores; without a pilot, the jobs that are done.

    Raises:
        InputError: the pilot holds no such run.
    """
    if config.runs is None:
        return [cell for cell in of_jobs(jobs) if cell.is_done]
    found = [cell for cell in of_folders(folders_in(config.runs)) if cell.is_done]
    if not found:
        raise InputError(f"runs={config.runs}: holds no run with scores, so it tells neither times nor spreads.")
    return found


def question_of(jobs: Sequence[Job]) -> Question:
    """What jobs compare, done or not."""
    rows, _ = rows_of(of_jobs(jobs), {})
    networks = {row.network for row in rows}
    table = next((job.config.get("table") for job in jobs if job.config is not None), None)
    baseline = table.get("baseline") if table else None
    own = sum(row.variant == baseline for row in rows)  # each network is compared with this variant of its own
    shared = len(networks) == 1
    return Question(min(len(row.cells) for row in rows), len(rows) - max(1, own), len(networks), shared)


def spreads_of(cells: Sequence[Cell], *, shared: bool) -> tuple[Spreads, list[str]]:
    """The spreads of a pilot, with typical ones in the place of what it does not tell; and where they come from."""
    rows, told = _rows(cells, shared=shared)
    typical = TYPICAL_SHARED if shared else TYPICAL
    images, seeds, interaction = parts_of(rows, shared=shared) if rows else (None, None, None)
    lines = []
    if images is not None or seeds is not None:
        missing = "images" if images is None else "seeds" if seeds is None else ""
        lines.append(told + (f"; of {missing} it says nothing" if missing else ""))
    if unknown := [name for name, part in (("images", images), ("seeds", seeds)) if part is None]:
        source = _TYPICAL_VARIANTS if shared else _TYPICAL
        lines.append(f"typical: {' and '.join(unknown)} from {source}")
    if seeds is None:
        seeds, interaction = typical.seeds, typical.interaction
        if images is not None:  # of one seed a row: what images add to a training is in it
            images = math.sqrt(max(0.0, images**2 - (1 if shared else 2) * interaction**2))
    return Spreads(typical.images if images is None else images, seeds, interaction or 0.0, shared), lines


def _rows(cells: Sequence[Cell], *, shared: bool) -> tuple[list[Sample], str]:
    """Rows of the same images: variants of one network, or networks in one variant; and what they are."""
    counts = {id(cell): read_counts(cell.scored) for cell in cells if cell.scored is not None}
    groups: dict[tuple[str, ...], list[tuple[str, Sample]]] = {}
    rows = [row for row in rows_of(cells, counts)[0] if row.done]
    for row in rows:
        same = row.network == rows[0].network if shared else row.variant == rows[0].variant
        found = [counts[id(cell)] for cell in row.done]
        if not same or len({(one.images, one.classes.names) for one in found}) > 1:
            continue
        stacked = np.stack([one.margins[row.variant][one.order] for one in found])  # (S, N, 3, C)
        sample = Sample.of_miou(stacked, [cell.training for cell in row.done])
        groups.setdefault((*found[0].images, *found[0].classes.names), []).append((label_of(row, rows), sample))
    best = max(groups.values(), key=len, default=[])
    samples = [sample for _, sample in best]
    if shared and len({sample.trainings for sample in samples}) > 1:
        samples = [sample for sample in samples if sample.trainings == samples[0].trainings]
    if not samples:
        return [], ""
    data = ", ".join(sorted({str(found.results["data"]) for found in counts.values()}))
    trainings = len({name for sample in samples for name in sample.trainings})
    return samples, f"a pilot of {len(samples)} rows, {trainings} trainings and {samples[0].images} images of {data}"


def show(question: Question, images: int, cells: Sequence[Cell], console: Console) -> None:
    """Print the smallest difference that is found, and the seeds for one point of mIoU."""
    say = partial(tell, console)
    console.print("\nWhat it can find", style="bold")
    if question.compared < 1:
        say("rows", "one alone: nothing is compared")
        return
    spreads, source = spreads_of(cells, shared=question.shared)
    design = Design(images, question.seeds, question.compared, question.trained)
    say("rows", f"{question.compared} compared with a baseline, {_seeds(question.seeds)} each, {images} val images")
    once = math.hypot(spreads.seeds, spreads.interaction / math.sqrt(images))
    whose = "a difference" if spreads.shared else "a training"
    of_seeds = f"{_points(once)} points of {whose} over seeds" if once > 0 else "over seeds it is not known"
    of_images = f"{_points(spreads.images / math.sqrt(images))} points of a difference over images"
    say("spreads", f"{of_images}, {of_seeds} (standard deviations of mIoU)")
    for line in source:
        say("", line)
    least = smallest(spreads, design)
    if math.isinf(least):
        say("smallest", "none: these images and seeds are too few for any verdict with power 80 %")
    else:
        say("smallest", f"{_points(least)} points: so large a true difference is found in 80 % of such tables")
    if question.seeds == 1:
        say("", "one seed: the question is then about these networks; training again may turn the answer")
    known = spreads.seeds > 0 or spreads.interaction > 0
    if known:
        listed = ", ".join(
            f"{_points(smallest(spreads, Design(images, seeds, question.compared, question.trained)))} with {seeds}"
            for seeds in _SEEDS
        )
        say("by seeds", listed)
    say("one point", _for_a_point(spreads, design, known=known))


def _for_a_point(spreads: Spreads, design: Design, *, known: bool) -> str:
    """How many seeds a difference of one point of mIoU needs."""
    least = limit(spreads, design)
    if least > POINT:
        enough = images_for(POINT, spreads, design)
        wanted = f"about {enough:,}" if enough is not None else "more than a million"
        limited = f"{_points(least)} points is the least that {design.images} images show"
        return f"cannot be found by seeds alone: {limited}; it needs {wanted} images of this kind"
    if not known:
        return "can be found with one seed, for these networks"
    needed = seeds_for(POINT, spreads, design)
    return "needs more than 1000 seeds each" if needed is None else f"needs {_seeds(needed)} each"


def _seeds(count: int) -> str:
    return f"{count} seed{'s' * (count != 1)}"


def _points(fraction: float) -> str:
    """A fraction of mIoU in points."""
    return "none" if math.isinf(fraction) else f"{100 * fraction:.2f}"
