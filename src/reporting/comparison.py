"""The comparison of rows: scores with intervals, differences to a baseline, and verdicts. No torch."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from src.core.errors import InputError
from src.data.classes import VOC_CLASSES
from src.reporting.collect import Cell, Counts, labels, read_counts
from src.reporting.statistics import Difference, Estimate, Sample, bootstrap, difference, estimate, holm, verdict
from src.scoring.metrics import RADII, hits_and_unions

TRIMAPS = tuple(f"trimap_miou_{radius}px" for radius in RADII)
SCORES = ("miou", "pixel_accuracy", *TRIMAPS, *(f"iou/{name}" for name in VOC_CLASSES))
"""Names of the G scores of a row, in the order of its arrays."""


@dataclass
class Row:
    """One line of a table.

    Attributes:
        network: what distinguishes the training; empty if there is only one.
        variant: how labels were made from the network's logits.
        cells: one per seed, done or not.
        estimate: of the scores named in `SCORES`; None if no cell is done.
        difference: to the baseline, of the same scores; None for the baseline, and if the baseline has other images.
        p: p-value of the mIoU difference, corrected for the number of rows.
        verdict: "better", "worse", "not separable", or empty.
    """

    network: str
    variant: str
    cells: list[Cell]
    estimate: Estimate | None = None
    difference: Difference | None = None
    p: float = float("nan")
    verdict: str = ""

    @property
    def done(self) -> list[Cell]:
        """The cells with scores."""
        return [cell for cell in self.cells if cell.is_done]


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
        resamples: number of resamples of the bootstrap.
    """

    name: str
    question: str
    rows: list[Row]
    baseline: Row | None
    cells: list[Cell]
    facts: dict[str, str]
    notes: list[str] = field(default_factory=list)
    resamples: int = 0

    def label(self, row: Row) -> str:
        """The text that distinguishes a row from the others."""
        several_networks = len({one.network for one in self.rows}) > 1
        several_variants = len({one.variant for one in self.rows}) > 1
        parts = [row.network] if several_networks else []
        return " / ".join([*parts, *([row.variant] if several_variants or not parts else [])])


def compare(cells: Sequence[Cell], *, name: str, question: str, baseline: str | None, resamples: int) -> Comparison:
    """Make rows from runs, and compare each row with the baseline.

    Args:
        cells: the runs.
        name: of the table.
        question: the question that it answers.
        baseline: label or variant of a row; a variant means, for each row, that variant of the same network. None: the
            first row.
        resamples: how often the images are drawn again.

    Raises:
        InputError: the baseline is unknown, the seeds of a row have different images, or counts cannot be read.
    """
    counts = {id(cell): read_counts(cell.scored) for cell in cells if cell.is_done and cell.scored is not None}
    rows = _rows(cells, counts)
    _measure(rows, counts, resamples, baseline)
    first = _find(rows, baseline, rows[0]) if rows else None
    notes = _notes(rows, cells, counts)
    return Comparison(name, question, rows, first, list(cells), _facts(cells, counts), notes, resamples)


def _rows(cells: Sequence[Cell], counts: dict[int, Counts]) -> list[Row]:
    """Rows in the order of the cells. Of runs with equal network, variant and seed, the first with scores counts."""
    networks = labels(cells)
    found: dict[tuple[str, str], dict[int, Cell]] = {}
    by_network: dict[str, dict[str, None]] = {}  # network -> its variants, in order
    for cell, network in zip(cells, networks, strict=True):
        by_network.setdefault(network, {}).update(dict.fromkeys(_variants(cell, counts)))
    for cell, network in zip(cells, networks, strict=True):
        for variant in _variants(cell, counts) or by_network[network] or ["none"]:
            seeds = found.setdefault((network, variant), {})
            if cell.seed not in seeds or (cell.is_done and not seeds[cell.seed].is_done):
                seeds[cell.seed] = cell
    return [Row(network, variant, list(seeds.values())) for (network, variant), seeds in found.items()]


def _variants(cell: Cell, counts: dict[int, Counts]) -> list[str]:
    """The variants that the cell was or will be scored with."""
    if id(cell) in counts:
        return list(counts[id(cell)].matrices)
    return list(dict.fromkeys(key.split(".")[1] for key in cell.content if key.startswith("variants.")))


def _measure(rows: list[Row], counts: dict[int, Counts], resamples: int, baseline: str | None) -> None:
    """Fill in the statistics of the rows; rows that were scored on the same images share resamples."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        if row.done:
            ids = {tuple(counts[id(cell)].ids) for cell in row.done}
            if len(ids) > 1:
                folders = ", ".join(str(cell.scored.path) for cell in row.done if cell.scored is not None)
                raise InputError(f"the seeds of one row were scored on different images: {folders}.")
            groups.setdefault(ids.pop(), []).append(row)
    for group in groups.values():
        drawn = bootstrap([_sample(row, counts) for row in group], resamples=resamples)
        of_row = {id(row): draws for row, draws in zip(group, drawn, strict=True)}
        for row in group:
            row.estimate = estimate(of_row[id(row)])
        for row in group:
            base = _find(rows, baseline, row)
            if base is not row and id(base) in of_row:
                row.difference = difference(of_row[id(row)], of_row[id(base)])
    compared = [row for row in rows if row.difference is not None]
    for row, p in zip(compared, holm([_first(row.difference).p[0] for row in compared]), strict=True):
        row.p = float(p)
        row.verdict = verdict(float(_first(row.difference).value[0]), row.p)


def _first(found: Difference | None) -> Difference:
    assert found is not None
    return found


def _sample(row: Row, counts: dict[int, Counts]) -> Sample:
    classes = len(VOC_CLASSES)
    stacked = []
    for cell in row.done:
        found = counts[id(cell)]
        whole = hits_and_unions(found.matrices[row.variant]).astype(np.float32)  # (N, 2, C)
        matrix = found.matrices[row.variant]
        pixels = np.stack([np.trace(matrix, axis1=1, axis2=2), matrix.sum((1, 2))], 1)[..., None]  # (N, 2, 1)
        near = found.trimaps.get(row.variant, np.zeros((len(whole), len(RADII), 2, classes), np.int32))
        bands = near.transpose(0, 2, 1, 3).reshape(len(whole), 2, -1)
        stacked.append(np.concatenate([whole, pixels, bands], axis=2, dtype=np.float32))
    both = np.stack(stacked)  # (S, N, 2, K)
    return Sample(both[:, :, 0], both[:, :, 1], _means(classes), tuple(cell.seed for cell in row.done))


def _means(classes: int) -> "np.ndarray[Any, np.dtype[np.bool_]]":
    """Which ratios are averaged in each of `SCORES`; the ratios: C classes, all pixels, C classes per trimap."""
    blocks = [slice(0, classes), slice(classes, classes + 1)]
    blocks += [slice(classes + 1 + k * classes, classes + 1 + (k + 1) * classes) for k in range(len(RADII))]
    member = np.zeros((blocks[-1].stop, len(SCORES)), dtype=bool)
    for score, block in enumerate(blocks):
        member[block, score] = True
    member[range(classes), range(len(blocks), len(SCORES))] = True
    return member


def _find(rows: list[Row], wanted: str | None, beside: Row) -> Row:
    """The baseline of a row: the same network's variant with the wanted name, else the network with that name."""
    if wanted is None:
        return rows[0]
    same = [row for row in rows if row.variant == wanted and row.network == beside.network]
    networks = [row for row in rows if wanted in (row.network, f"{row.network} / {row.variant}")]
    plain = [row for row in networks if row.variant == "none"]
    found = [*same, *plain, *networks]
    if not found:
        names = dict.fromkeys([*(row.network for row in rows), *(row.variant for row in rows)])
        raise InputError(
            f"baseline={wanted}: no row has this name; there are {', '.join(name for name in names if name)}."
        )
    return found[0]


def _facts(cells: Sequence[Cell], counts: dict[int, Counts]) -> dict[str, str]:
    """Facts about all runs: data, protocol, number of images, fingerprints, versions."""
    facts: dict[str, set[str]] = {}
    for cell in cells:
        if not cell.is_done or cell.scored is None:
            continue
        results = cell.scored.read_results()
        facts.setdefault("data", set()).add(str(results["data"]))
        facts.setdefault("protocol", set()).add(str(results["protocol"]))
        facts.setdefault("images", set()).add(str(results["images"]))
        for split, digest in results.get("fingerprint", {}).items():
            facts.setdefault(f"fingerprint of {split}", set()).add(str(digest)[:12])
        for package, number in results.get("versions", {}).items():
            facts.setdefault(package, set()).add(str(number))
    return {key: ", ".join(sorted(values)) for key, values in facts.items()}


def _notes(rows: list[Row], cells: Sequence[Cell], counts: dict[int, Counts]) -> list[str]:
    notes = []
    facts = _facts(cells, counts)
    for key in ("data", "protocol", "fingerprint of val"):
        if "," in facts.get(key, ""):
            notes.append(f"The rows differ in {key} ({facts[key]}), so they do not answer the same question.")
    images = min((len(found.ids) for found in counts.values()), default=0)
    if 0 < images < 100:
        notes.append(
            f"Only {images} images: the intervals of single rows are too narrow if classes have few images; the "
            "intervals of differences are reliable."
        )
    if any(len(row.done) == 1 for row in rows):
        notes.append("One seed: the interval covers only the choice of images; training again would widen it.")
    for run in [cell.run for cell in cells if cell.is_done and cell.run is not None]:
        length = (run.read_ending() or {}).get("training", {})
        if str(length.get("stopped")).startswith("trainer.max_time"):
            notes.append(
                f"{run.path.name} was stopped after {length['steps']} of {length['of']} steps by {length['stopped']}."
            )
    broken = [cell for cell in cells if not cell.is_done]
    if broken:
        notes.append(f"{len(broken)} of {len(cells)} runs have no scores; they are listed below the table.")
    return notes
