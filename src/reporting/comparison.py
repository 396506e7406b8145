"""The comparison of rows: scores with intervals, differences to a baseline, and verdicts. No torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from src.core.errors import InputError, printable
from src.data.classes import Classes, differing_classes
from src.reporting.collect import Cell
from src.reporting.counts import Counts, read_counts
from src.reporting.rows import Row, baseline_of, label_of, rows_of
from src.reporting.statistics import remarks
from src.reporting.statistics.samples import Sample
from src.reporting.statistics.verdicts import analyse, verdict
from src.scoring.metrics import RADII, hits_and_unions

TRIMAPS = tuple(f"trimap_miou_{radius}px" for radius in RADII)
WHOLE = ("miou", "pixel_accuracy", *TRIMAPS)
"""Names of the first scores of a row, in the order of its arrays; the IoU of each class follow."""


@dataclass
class Comparison:
    """A table, and what its reader must know.

    Attributes:
        name: of the table.
        question: the question that it answers.
        rows: in the order of the sweep.
        baseline: what the others are compared with; None if nothing is done.
        cells: all runs, done or not.
        facts: data, protocol, number of images and the like, for the reader.
        notes: sentences on the limits of the table.
        resamples: how many ways to swap the rows' images were tried.
        counts: of each cell with scores, by its `id`.
        classes: those of all rows; None if nothing is done.
    """

    name: str
    question: str
    rows: list[Row]
    baseline: Row | None
    cells: list[Cell]
    facts: dict[str, str]
    notes: list[str] = field(default_factory=list)
    resamples: int = 0
    counts: dict[int, Counts] = field(default_factory=dict)
    classes: Classes | None = None

    @property
    def scores(self) -> tuple[str, ...]:
        """Names of the G scores of a row, in the order of its arrays."""
        return (*WHOLE, *(f"iou/{name}" for name in (self.classes.names if self.classes is not None else ())))

    def label(self, row: Row) -> str:
        """The text that distinguishes a row from the others."""
        return label_of(row, self.rows)


def compare(cells: Sequence[Cell], *, name: str, question: str, baseline: str | None, resamples: int) -> Comparison:
    """Make rows from runs, and compare each row with the baseline.

    Args:
        cells: the runs.
        name: of the table.
        question: the question that it answers.
        baseline: label or variant of a row; a variant means, for each row, that variant of the same network. None: the
            first row.
        resamples: how many ways to swap the rows' images are tried.

    Raises:
        InputError: runs have different classes, the baseline is unknown, the seeds of a row have different images, runs
            stand in each other's way (see `rows_of`), or counts cannot be read.
    """
    counts = {id(cell): read_counts(cell.scored) for cell in cells if cell.is_done and cell.scored is not None}
    counts |= {id(cell): cell.counts for cell in cells if cell.counts is not None}
    classes = _one_set_of_classes(cells, counts)
    rows = rows_of(cells, counts)
    first = baseline_of(rows, baseline, rows[0]) if rows else None
    said = _measure(rows, counts, resamples, baseline)
    facts = _facts([found.results for found in counts.values()])
    notes = [*_notes(cells, counts, facts), *said]
    joined = {key: ", ".join(values) for key, values in facts.items()}
    return Comparison(name, question, rows, first, list(cells), joined, notes, resamples, counts, classes)


def _one_set_of_classes(cells: Sequence[Cell], counts: Mapping[int, Counts]) -> Classes | None:
    """The classes of all runs; raises InputError if two have different ones: a mean over other classes says nothing."""
    done = [cell for cell in cells if id(cell) in counts]
    for cell in done[1:]:
        first, other = counts[id(done[0])].classes, counts[id(cell)].classes
        if differ := differing_classes(first.names, other.names):
            both = " and ".join(one.label if one.scored is None else str(one.scored.path) for one in (done[0], cell))
            raise InputError(f"{both} have different classes ({differ}): make a report of each.")
    return counts[id(done[0])].classes if done else None


def _measure(rows: list[Row], counts: dict[int, Counts], resamples: int, baseline: str | None) -> list[str]:
    """Fill in the statistics of the rows, those of the same images together; returns what a reader must know."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        if row.done:
            found = [counts[id(cell)] for cell in row.done]
            images = {one.images for one in found}
            trained = {str(one.results.get("fingerprint", {}).get("train")) for one in found}
            for differing, words in (
                (images, "scored on different images or masks"),
                (trained, "trained on different data"),
            ):
                if len(differing) > 1:
                    folders = ", ".join(str(cell.scored.path) for cell in row.done if cell.scored is not None)
                    raise InputError(f"the seeds of one row were {words}: {folders}; leave out those with others.")
            groups.setdefault(images.pop(), []).append(row)
    said = []
    for group in groups.values():
        samples = [_sample(row, counts) for row in group]
        bases = [baseline_of(rows, baseline, row) for row in group]
        places = [next((k for k, row in enumerate(group) if row is base), None) for base in bases]
        analysis = analyse(samples, places, swaps=resamples)
        for row, scores, change in zip(group, analysis.estimates, analysis.differences, strict=True):
            row.estimate, row.difference = scores, change
            row.verdict = "" if change is None else verdict(float(change.value[0]), row.p)
        names = [label_of(row, rows) for row in group]
        said += remarks.sentences(names, samples, analysis)
        apart = [name for name, base, place in zip(names, bases, places, strict=True) if place is None and base.done]
        if apart:
            said.append(f"{remarks.listed(apart)}: scored on other images than the baseline, so not compared.")
    return list(dict.fromkeys(said))


def _sample(row: Row, counts: dict[int, Counts]) -> Sample:
    classes = len(counts[id(row.done[0])].classes)
    stacked = []
    for cell in row.done:
        found = counts[id(cell)]
        margin = found.margins[row.variant]  # (N, 3, C)
        whole = hits_and_unions(margin).astype(np.float32)  # (N, 2, C)
        pixels = margin[:, :2].sum(-1)[..., None]  # (N, 2, 1)
        near = found.trimaps.get(row.variant, np.zeros((len(whole), len(RADII), 2, classes), np.int32))
        bands = near.transpose(0, 2, 1, 3).reshape(len(whole), 2, -1)
        stacked.append(np.concatenate([whole, pixels, bands], axis=2, dtype=np.float32)[found.order])
    both = np.stack(stacked)  # (S, N, 2, K)
    return Sample(both[:, :, 0], both[:, :, 1], _means(classes), tuple(cell.training for cell in row.done))


def _means(classes: int) -> "np.ndarray[Any, np.dtype[np.bool_]]":
    """Which ratios are averaged in each score; the ratios: C classes, all pixels, C classes per trimap."""
    blocks = [slice(0, classes), slice(classes, classes + 1)]
    blocks += [slice(classes + 1 + k * classes, classes + 1 + (k + 1) * classes) for k in range(len(RADII))]
    member = np.zeros((blocks[-1].stop, len(WHOLE) + classes), dtype=bool)
    for score, block in enumerate(blocks):
        member[block, score] = True
    member[range(classes), range(len(blocks), len(blocks) + classes)] = True
    return member


def _facts(done: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Facts about all runs, from their `results.json`: data, protocol, images, machine, fingerprints, versions."""
    facts: dict[str, set[str]] = {}
    for results in done:
        found = {key: results[key] for key in ("data", "protocol", "images")}
        found |= {
            f"fingerprint of {split}": str(digest)[:12] for split, digest in results.get("fingerprint", {}).items()
        }
        found |= {**results.get("versions", {}), **results.get("machine", {})}
        for key, value in found.items():
            facts.setdefault(key.replace("_", " "), set()).add(str(value))
    return {key: sorted(values) for key, values in facts.items()}


def _notes(cells: Sequence[Cell], counts: Mapping[int, Counts], facts: Mapping[str, Sequence[str]]) -> list[str]:
    notes = []
    for key in ("data", "protocol", "fingerprint of val"):
        if len(facts.get(key, ())) > 1:
            values = ", ".join(facts[key])
            notes.append(f"The rows differ in {key} ({values}), so they do not answer the same question.")
    machines = dict.fromkeys(
        key.replace("_", " ") for found in counts.values() for key in found.results.get("machine", {})
    )
    if differ := [f"{key}: {', '.join(facts[key])}" for key in machines if len(facts[key]) > 1]:
        notes.append(
            f"The rows ran on different machines or precisions ({'; '.join(differ)}), so they may differ in the last "
            "digits."
        )
    if any(cell.content.get("data.group") for cell in cells):
        notes.append(
            "Images of one group are swapped one by one, as if they were independent: intervals are too narrow."
        )
    for run in [cell.run for cell in cells if cell.is_done and cell.run is not None]:
        length = (run.read_ending() or {}).get("training", {})
        if str(length.get("stopped")).startswith("trainer.max_time"):
            name = printable(run.path.name)
            notes.append(f"{name} was stopped after {length['steps']} of {length['of']} steps by {length['stopped']}.")
    broken = [cell for cell in cells if not cell.is_done]
    if broken:
        notes.append(f"{len(broken)} of {len(cells)} runs have no scores; they are listed below the table.")
    return notes
