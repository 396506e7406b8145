"""The comparison of rows: scores with intervals, differences to a baseline, and verdicts. No torch."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from src.core.errors import InputError, printable
from src.data.classes import Classes, differing_classes
from src.reporting.collect import Cell
from src.reporting.counts import Counts, read_counts
from src.reporting.rows import Row, baseline_of, label_of, rename, rows_of, unlike
from src.reporting.statistics import remarks
from src.reporting.statistics.ratios import WHOLE, sample, units
from src.reporting.statistics.verdicts import analyse, verdict
from src.scoring.definitions import Counted

Tell = Callable[[str], None]
Added = tuple[list[Row], dict[int, Counts], list[str]]
"""All rows of a table, the counts of the cells that are new, and what a reader must know of them."""


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
        unit: what is swapped: "images", or "groups of images" in at least one row.
        others: mIoU of the rows by other definitions; empty unless asked for.
        other_notes: sentences on them.
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
    unit: str = "images"
    others: list[Counted] = field(default_factory=list)
    other_notes: list[str] = field(default_factory=list)

    @property
    def scores(self) -> tuple[str, ...]:
        """Names of the G scores of a row, in the order of its arrays."""
        return (*WHOLE, *(f"iou/{name}" for name in (self.classes.names if self.classes is not None else ())))

    def label(self, row: Row) -> str:
        """The text that distinguishes a row from the others."""
        return label_of(row, self.rows)


def compare(
    cells: Sequence[Cell],
    *,
    name: str,
    question: str,
    baseline: str | None,
    resamples: int,
    names: Sequence[str] | None = None,
    tell: Tell = lambda _: None,
    more: Callable[[Sequence[Row], Mapping[int, Counts]], Added] | None = None,
) -> Comparison:
    """Make rows from runs, and compare each row with the baseline.

    Args:
        cells: the runs.
        name: of the table.
        question: the question that it answers.
        baseline: label or variant of a row; a variant means, for each row, that variant of the same network. None: the
            first row.
        resamples: how many ways to swap the rows' images are tried.
        names: of the trainings, in the order of the rows; None: what their configs differ in.
        tell: gets what numbers of images and swaps cannot decide, before the long work; the notes say it again.
        more: adds rows to those of the runs.

    Raises:
        InputError: runs have different classes, the baseline is unknown, the names do not fit the trainings, the seeds
            of a row have different training data, runs stand in each other's way (see `rows_of`), or counts cannot be
            read.
    """
    counts = {id(cell): read_counts(cell.scored) for cell in cells if cell.is_done and cell.scored is not None}
    counts |= {id(cell): cell.counts for cell in cells if cell.counts is not None}
    classes = _one_set_of_classes(cells, counts)
    rows, doubles = rows_of(cells, counts)
    if more is not None:
        rows, new, said = more(rows, counts)
        counts, doubles = counts | new, [*doubles, *said]
    if names is not None:
        rename(rows, names)
    first = baseline_of(rows, baseline, rows[0]) if rows else None
    said, unit = _measure(rows, counts, resamples, baseline, tell)
    facts = _facts([found.results for found in counts.values()])
    notes = [*_notes(cells, counts, facts), *doubles, *said]
    joined = {key: ", ".join(values) for key, values in facts.items()}
    return Comparison(name, question, rows, first, list(cells), joined, notes, resamples, counts, classes, unit)


def _one_set_of_classes(cells: Sequence[Cell], counts: Mapping[int, Counts]) -> Classes | None:
    """The classes of all runs; raises InputError if two have different ones: a mean over other classes says nothing."""
    done = [cell for cell in cells if id(cell) in counts]
    for cell in done[1:]:
        first, other = counts[id(done[0])].classes, counts[id(cell)].classes
        if differ := differing_classes(first.names, other.names):
            both = " and ".join(one.label if one.scored is None else str(one.scored.path) for one in (done[0], cell))
            raise InputError(f"{both} have different classes ({differ}): make a report of each.")
    return counts[id(done[0])].classes if done else None


def _measure(
    rows: list[Row], counts: dict[int, Counts], resamples: int, baseline: str | None, tell: Tell
) -> tuple[list[str], str]:
    """Fill in the statistics of the rows, those of the same images together.

    Returns:
        What a reader must know, and what is swapped: "images", or "groups of images" in at least one row.
    """
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        if row.done:
            runs = [counts[id(cell)] for cell in row.done]
            if len({str(one.results.get("fingerprint", {}).get("train")) for one in runs}) > 1:
                folders = ", ".join(str(cell.scored.path) for cell in row.done if cell.scored is not None)
                raise InputError(
                    f"the seeds of one row were trained on different data: {folders}; leave out those with others."
                )
            groups.setdefault(runs[0].images, []).append(row)
    said, swapped = [], "images"
    for group in groups.values():
        ids = sorted(counts[id(group[0].done[0])].ids)
        together = units([cell.content.get("data.group") for row in group for cell in row.done], ids)
        unit = "image" if len({*together}) == len(ids) else "group"
        samples = [
            sample([counts[id(cell)] for cell in row.done], row.variant, [cell.training for cell in row.done], together)
            for row in group
        ]
        bases = [baseline_of(rows, baseline, row) for row in group]
        places = [next((k for k, row in enumerate(group) if row is base), None) for base in bases]
        if any(place not in (None, k) for k, place in enumerate(places)):
            for line in remarks.limits(samples[0].images, resamples, unit):
                tell(line)
        analysis = analyse(samples, places, swaps=resamples)
        found = zip(group, bases, places, analysis.estimates, analysis.differences, strict=True)
        for row, base, place, row.estimate, row.difference in found:
            row.why = unlike(row, base, counts) if base.done and place is None else ""
            if row.why:
                row.verdict = "not comparable"
            elif row.difference is not None:
                row.verdict = verdict(float(row.difference.value[0]), row.p)
        said += remarks.sentences([label_of(row, rows) for row in group], samples, analysis, resamples, unit)
        if unit == "group":
            swapped = "groups of images"
            said.append(
                f"The {len(ids)} images are of {samples[0].images} groups (data.group). Images of one group are "
                "swapped together, and intervals ask about other groups."
            )
    for why in dict.fromkeys(row.why for row in rows if row.why):
        apart = remarks.listed([label_of(row, rows) for row in rows if row.why == why])
        said.append(f"{apart}: not comparable with the baseline, because {why}.")
    return list(dict.fromkeys(said)), swapped


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
    for run in [cell.run for cell in cells if cell.is_done and cell.run is not None]:
        length = (run.read_ending() or {}).get("training", {})
        if str(length.get("stopped")).startswith("trainer.max_time"):
            name = printable(run.path.name)
            notes.append(f"{name} was stopped after {length['steps']} of {length['of']} steps by {length['stopped']}.")
    broken = [cell for cell in cells if not cell.is_done]
    if broken:
        notes.append(f"{len(broken)} of {len(cells)} runs have no scores; they are listed below the table.")
    return notes
