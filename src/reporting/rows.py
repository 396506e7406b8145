"""The rows of a table: which runs are the seeds of one row, and which row is the baseline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from src.core.errors import InputError
from src.reporting.collect import Cell, labels
from src.reporting.counts import Counts
from src.reporting.statistics.intervals import Estimate
from src.reporting.statistics.verdicts import Difference

_LISTED = 60  # names in a message


@dataclass
class Row:
    """One line of a table.

    Attributes:
        network: what distinguishes the training; empty if there is only one.
        variant: how labels were made from the network's logits.
        cells: one per seed, done or not.
        estimate: of the scores named in `Comparison.scores`; None if no cell is done.
        difference: to the baseline, of the same scores; None for the baseline, and if the baseline has other images.
        verdict: on mIoU: "better", "worse", "not separable", or empty.
    """

    network: str
    variant: str
    cells: list[Cell]
    estimate: Estimate | None = None
    difference: Difference | None = None
    verdict: str = ""

    @property
    def done(self) -> list[Cell]:
        """The cells with scores."""
        return [cell for cell in self.cells if cell.is_done]

    @property
    def p(self) -> float:
        """P-value of the mIoU difference, corrected for the number of rows; NaN if there is none."""
        return float("nan") if self.difference is None else float(self.difference.corrected[0])


def label_of(row: Row, rows: Sequence[Row]) -> str:
    """The text that distinguishes a row from the others of its table."""
    several_networks = len({one.network for one in rows}) > 1
    several_variants = len({one.variant for one in rows}) > 1
    parts = [row.network] if several_networks else []
    return " / ".join([*parts, *([row.variant] if several_variants or not parts else [])])


def rows_of(cells: Sequence[Cell], counts: Mapping[int, Counts]) -> list[Row]:
    """Rows in the order of the cells. Of scores of one training, variant and seed, the first count.

    Raises:
        InputError: two trainings have the same row, variant and seed, or two variants of a row the same name.
    """
    networks = labels(cells)
    found: dict[tuple[str, str], dict[int, Cell]] = {}
    by_network: dict[str, dict[str, None]] = {}  # network -> its variants, in order
    for cell, network in zip(cells, networks, strict=True):
        by_network.setdefault(network, {}).update(dict.fromkeys(_variants(cell, counts)))
    for cell, network in zip(cells, networks, strict=True):
        for variant in _variants(cell, counts) or by_network[network] or ["none"]:
            seeds = found.setdefault((network, variant), {})
            for other in seeds.values():
                _check_one_meaning(other, cell, variant)
            before = seeds.get(cell.seed)
            if before is None or (cell.is_done and not before.is_done):
                seeds[cell.seed] = cell
            elif cell.is_done:
                _check_one_training(before, cell, variant, counts)
    return [Row(network, variant, list(seeds.values())) for (network, variant), seeds in found.items()]


def _variants(cell: Cell, counts: Mapping[int, Counts]) -> list[str]:
    """The variants that the cell was or will be scored with."""
    if id(cell) in counts:
        return list(counts[id(cell)].margins)
    return list(dict.fromkeys(key.split(".")[1] for key in cell.content if key.startswith("variants.")))


def _check_one_meaning(one: Cell, other: Cell, variant: str) -> None:
    """Raise unless the variant is the same thing in the configs of both cells."""
    if not one.content or not other.content:
        return
    prefix = f"variants.{variant}"
    first, second = (
        {key: repr(value or None) for key, value in cell.content.items() if f"{key}.".startswith(f"{prefix}.")}
        for cell in (one, other)
    )
    if first != second:
        key = next(key for key in [*first, *second] if first.get(key) != second.get(key))
        raise InputError(
            f"{_place(one)} and {_place(other)} call different variants '{variant}' (see {key}): make a report of each."
        )


def _check_one_training(one: Cell, other: Cell, variant: str, counts: Mapping[int, Counts]) -> None:
    """Raise if two folders give the same seed of a row, unless one training was scored with different variants."""
    assert one.scored is not None and other.scored is not None
    if _training(one.scored.path) == _training(other.scored.path):
        return
    first, second = counts[id(one)], counts[id(other)]
    same_images = sorted(first.ids) == sorted(second.ids)
    counted = [found.margins[variant][found.order] for found in (first, second)]
    if set(first.margins) != set(second.margins) and same_images and np.array_equal(counted[0], counted[1]):
        return
    raise InputError(
        f"{one.scored.path} and {other.scored.path} have the same config, variant '{variant}' and seed {one.seed}, "
        "so one of them would be lost in the table: leave one out, or train it with another seed."
    )


def _training(scored: Path) -> Path:
    """The run folder of a folder of scores: itself, or the one in whose `evaluations/` it lies."""
    path = scored.resolve()
    return path.parent.parent if path.parent.name == "evaluations" else path


def _place(cell: Cell) -> str:
    return cell.label if cell.run is None else str(cell.run.path)


def baseline_of(rows: Sequence[Row], wanted: str | None, beside: Row) -> Row:
    """The baseline of a row: the same network's variant with the wanted name, else the network with that name.

    Raises:
        InputError: no row has this name.
    """
    if wanted is None:
        return rows[0]
    same = [row for row in rows if row.variant == wanted and row.network == beside.network]
    networks = [row for row in rows if wanted in (row.network, f"{row.network} / {row.variant}")]
    plain = [row for row in networks if row.variant == "none"]
    found = [*same, *plain, *networks]
    if not found:
        names = [
            name for name in dict.fromkeys([*(row.network for row in rows), *(row.variant for row in rows)]) if name
        ]
        listed = ", ".join(f"'{name}'" for name in names[:_LISTED]) + (", ..." if len(names) > _LISTED else "")
        done = "" if any(row.done for row in rows) else ", and no run is done yet"
        raise InputError(f"baseline={wanted}: no row has this name{done}; use one of {listed}.")
    return found[0]
