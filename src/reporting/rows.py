"""The rows of a table: which runs are the seeds of one row, and which row is the baseline."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from src.core.errors import InputError, printable
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
        verdict: on mIoU: "better", "worse", "not separable", "not comparable", or empty.
        why: why it is not comparable with its baseline, as the end of a sentence; empty if it is.
    """

    network: str
    variant: str
    cells: list[Cell]
    estimate: Estimate | None = None
    difference: Difference | None = None
    verdict: str = ""
    why: str = ""

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
    parts = [row.network] if several_networks and row.network else []
    return " / ".join([*parts, *([row.variant] if several_variants or not parts else [])])


def rows_of(cells: Sequence[Cell], counts: Mapping[int, Counts]) -> tuple[list[Row], list[str]]:
    """Rows in the order of the cells, and what a reader must know of them.

    Of scores of one training, variant and seed, the first count. Seeds that were scored on other images than most runs
    of the table have a row of their own.

    Raises:
        InputError: two trainings have the same row, variant and seed, or two variants of a row the same name.
    """
    networks = labels(cells)
    said: dict[str, None] = {}
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
                said |= dict.fromkeys(_left_out(before, cell, variant, counts))
    rows = [Row(network, variant, list(seeds.values())) for (network, variant), seeds in found.items()]
    usual = Counter(one.images for one in counts.values()).most_common(1)
    return [part for row in rows for part in _by_images(row, counts, usual[0][0] if usual else ())], [*said]


def rename(rows: Sequence[Row], names: Sequence[str]) -> None:
    """Give the trainings of a table other names, in the order of its rows.

    Raises:
        InputError: there is not one name for each training, or two have the same.
    """
    found = list(dict.fromkeys(row.network for row in rows))
    if len(names) != len(found) or len(set(names)) < len(names):
        listed = "; ".join(f"'{name}'" for name in found[:_LISTED])
        raise InputError(f"names=[{', '.join(names)}]: give {len(found)} different names, one for each of {listed}.")
    for row in rows:
        row.network = names[found.index(row.network)]


def _by_images(row: Row, counts: Mapping[int, Counts], usual: tuple[str, ...]) -> list[Row]:
    """The row, and a row for each set of other images that some of its seeds were scored on."""
    parts: dict[tuple[str, ...], list[Cell]] = {}
    for cell in row.done:
        if id(cell) in counts:  # a plan asks for rows without counts
            parts.setdefault(counts[id(cell)].images, []).append(cell)
    if len(parts) < 2:
        return [row]
    main = usual if usual in parts else next(iter(parts))
    found = [Row(row.network, row.variant, [cell for cell in row.cells if not cell.is_done] + parts.pop(main))]
    for number, cells in enumerate(parts.values(), 1):
        words = f"other images {number}" if len(parts) > 1 else "other images"
        found.append(Row(f"{row.network}, {words}" if row.network else words, row.variant, cells))
    return found


def unlike(row: Row, baseline: Row, counts: Mapping[int, Counts]) -> str:
    """Why a row cannot be compared with its baseline image by image, as the end of a sentence; empty if it can."""
    own, other = (counts[id(one.done[0])] for one in (row, baseline))
    mine, theirs = set(own.ids), set(other.ids)
    if extra := mine - theirs:
        return f"{len(extra)} of its {len(mine)} images were not scored with the baseline"
    if missing := theirs - mine:
        return f"it was scored on {len(mine)} of the baseline's {len(theirs)} images ({len(missing)} are missing)"
    first, second = (next(iter(one.margins.values()))[one.order, 1] for one in (own, other))
    differ = int((first != second).any(1).sum())
    return f"{differ} of its {len(mine)} images were scored against another truth" if differ else ""


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


def _left_out(one: Cell, other: Cell, variant: str, counts: Mapping[int, Counts]) -> list[str]:
    """What a reader must know if two folders give the same seed of a row, so that the second does not count.

    Raises:
        InputError: they are not scores of one training.
    """
    assert one.scored is not None and other.scored is not None
    if id(one) not in counts or id(other) not in counts:  # a plan asks for rows without counts
        return []
    first, second = counts[id(one)], counts[id(other)]
    same_images = first.images == second.images
    mine, others = (found.margins[variant][found.order] for found in (first, second))
    alike = same_images and np.array_equal(mine, others)
    is_one = _training(one.scored.path) == _training(other.scored.path)
    if alike and (is_one or set(first.margins) != set(second.margins)):
        return []
    if is_one and same_images:
        scores = " and ".join(f"{100 * found.results['variants'][variant]['miou']:.4f} %" for found in (first, second))
        return [
            f"{printable(one.scored.path)} and {printable(other.scored.path)} are scores of one training with variant "
            f"'{variant}', and differ a little ({scores}), as scores from kept logits and from the network may. The "
            "first count."
        ]
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
