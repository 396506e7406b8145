"""Figures of a comparison: readable in print, colours that colour-blind readers can separate (Okabe and Ito 2008)."""

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from src.core.errors import InputError
from src.core.files.reading import read_text
from src.reporting.comparison import Comparison
from src.reporting.output.figures.costs import over_costs
from src.reporting.output.figures.style import COLOURS, LINES, MARKS, STYLE, text
from src.reporting.rows import Row
from src.reporting.statistics.ratios import WHOLE
from src.scoring.metrics import RADII

_MOST_LINES = len(COLOURS)
_SHORT = 16  # characters of a name that fits beside other words under half a figure
_MOST_CLASSES = 40  # columns that a page can show
_LEVEL_NAMES = 55  # characters of all classes' names that have room beside each other
_EPOCHS = 10**7
FIGURES = ("forest", "classes", "boundaries", "costs", "curves")
_FINITE = 1e30  # of a value that is drawn


def all_of(table: Comparison) -> dict[str, Figure]:
    """Figures by file name; figures without data are left out."""
    with rc_context(STYLE):
        found = (forest(table), classes(table), boundaries(table), over_costs(table), curves(table))
        return {name: figure for name, figure in zip(FIGURES, found, strict=True) if figure is not None}


def _beyond(table: Comparison, rows: Sequence[Row], usual: int = 20) -> float:
    """Inches that the longest label needs beyond those of a usual one."""
    return 0.08 * max(0, *(len(text(table.label(row))) - usual for row in rows))


def forest(table: Comparison) -> Figure | None:
    """MIoU of each row and its difference to the baseline, with 95 % intervals."""
    rows = [row for row in table.rows if row.estimate is not None]
    if not rows:
        return None
    figure = Figure(figsize=(8, 1.1 + 0.24 * len(rows)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    heights = np.arange(len(rows))[::-1]
    for row, height in zip(rows, heights, strict=True):
        mark, colour = MARKS[row.verdict]
        assert row.estimate is not None
        _whisker(left, row.estimate.value[0], row.estimate.low[0], row.estimate.high[0], height, mark, colour)
        if row.difference is not None:
            found = row.difference
            _whisker(right, found.value[0], found.low[0], found.high[0], height, mark, colour)
    right.axvline(0, color="black", linewidth=0.8)
    left.set_yticks(heights, [text(table.label(row)) for row in rows])
    left.set_ylim(-0.7, len(rows) - 0.3)
    left.set_xlabel("mIoU, % (95 % interval)")
    base = text(table.label(table.baseline)) if table.baseline is not None else ""
    right.set_xlabel(f"change to {base if 0 < len(base) <= _SHORT else 'the baseline'}, points (paired)")
    for axes in (left, right):
        axes.grid(axis="x", color="#dddddd", linewidth=0.6)
        axes.set_axisbelow(True)
    for name in ("better", "worse", "not separable"):
        mark, colour = MARKS[name]
        right.plot([], [], mark, color=colour, label=name, markersize=5)
    figure.legend(loc="outside upper right", ncols=3, frameon=False)
    return figure


def _whisker(axes: Axes, value: float, low: float, high: float, height: float, mark: str, colour: str) -> None:
    axes.plot([100 * low, 100 * high], [height, height], color=colour, linewidth=1.4)
    axes.plot([100 * value], [height], mark, color=colour, markersize=5)


def classes(table: Comparison) -> Figure | None:
    """IoU per class and row in per cent; the colour is the difference to the baseline.

    Of more than `_MOST_CLASSES`, only those that change most.
    """
    rows = [row for row in table.rows if row.estimate is not None]
    if not rows or table.classes is None:
        return None
    first, names = len(WHOLE), table.classes.names
    values = 100 * np.array([row.estimate.value[first:] for row in rows if row.estimate is not None])
    change = np.array([100 * row.difference.value[first:] if row.difference else np.zeros(len(names)) for row in rows])
    seen = ~np.isnan(values).all(0)
    if seen.sum() > _MOST_CLASSES:
        largest = np.nan_to_num(np.abs(change)).max(0) * seen
        seen &= largest >= np.sort(largest)[-_MOST_CLASSES]
        seen &= seen.cumsum() <= _MOST_CLASSES
    most = max(1.0, float(np.nanquantile(np.abs(change), 0.98)))
    width = 2.2 + 0.36 * float(seen.sum()) + _beyond(table, rows)
    figure = Figure(figsize=(max(8.0, width), 1.6 + 0.22 * len(rows)), layout="constrained")
    axes = figure.subplots()
    picture = axes.imshow(change[:, seen], cmap="PuOr", vmin=-most, vmax=most, aspect="auto")
    for y, x in np.ndindex(values[:, seen].shape):
        value, strong = values[:, seen][y, x], abs(change[:, seen][y, x]) > 0.65 * most
        number = "" if np.isnan(value) else f"{value:.0f}"
        axes.text(x, y, number, ha="center", va="center", fontsize=7, color="white" if strong else "black")
    shown = [text(name) for name, kept in zip(names, seen, strict=True) if kept]
    axes.set_xticks(range(len(shown)), shown, rotation=60 if sum(map(len, shown)) > _LEVEL_NAMES else 0)
    axes.set_yticks(range(len(rows)), [text(table.label(row)) for row in rows])
    if seen.sum() < len(names) and seen.sum() == _MOST_CLASSES:
        axes.set_title(f"the {_MOST_CLASSES} of {len(names)} classes that change most", fontsize=9)
    figure.colorbar(
        picture, ax=axes, label="points" if len(rows) < 6 else "change to baseline, points", fraction=0.03, pad=0.01
    )
    return figure


def boundaries(table: Comparison) -> Figure | None:
    """Difference of mIoU to the baseline within so many pixels of a boundary, and over the whole image."""
    rows = _telling([row for row in table.rows if row.difference is not None])
    if not rows or table.baseline is None:
        return None
    order = [2 + k for k in range(len(RADII))] + [0]
    figure = Figure(figsize=(7 + _beyond(table, rows), 3), layout="constrained")  # the legend stands beside it
    axes = figure.subplots()
    for k, row in enumerate(rows):
        assert row.difference is not None
        shift = 0.5 * (k / max(1, len(rows) - 1) - 0.5) if len(rows) > 1 else 0.0
        x = np.arange(len(order)) + shift
        value, low, high = (100 * getattr(row.difference, key)[order] for key in ("value", "low", "high"))
        if np.isnan(value[:-1]).any():
            return None
        axes.errorbar(
            x, value, yerr=[np.maximum(value - low, 0), np.maximum(high - value, 0)], color=COLOURS[k],
            linestyle=LINES[k % 4], marker="o", markersize=3, linewidth=1.2, label=text(table.label(row)),
        )  # fmt: skip
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_xticks(range(len(order)), [*(f"{radius} px" for radius in RADII), "whole image"])
    axes.set_xlabel("distance to a boundary of the truth, up to")
    axes.set_ylabel(f"change of mIoU to\n{text(table.label(table.baseline))}, points")
    figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    return figure


def _telling(rows: list[Row]) -> list[Row]:
    """As many rows as a reader can tell apart in a figure: the best and the worst ones."""
    if len(rows) <= _MOST_LINES:
        return rows
    half = _MOST_LINES // 2
    ranked = sorted(rows, key=lambda row: float(row.estimate.value[0]) if row.estimate else 0.0, reverse=True)
    return [*ranked[:half], *ranked[-half:]]


def curves(table: Comparison) -> Figure | None:
    """Training loss and validation mIoU over epochs: one line per seed, one colour per network."""
    networks: dict[str, list[Path]] = {}
    for row in table.rows:
        for cell in row.cells:
            if cell.run is not None and cell.run.metrics.exists():
                paths = networks.setdefault(row.network or "network", [])
                if cell.run.metrics not in paths:
                    paths.append(cell.run.metrics)
    if not networks:
        return None
    drawn = list(networks.items())[:_MOST_LINES]
    beside = max(1, min(4, 100 // max(len(text(network)) + 4 for network, _ in drawn)))  # names in a line of 8 inches
    figure = Figure(figsize=(8, 2.6 + 0.16 * math.ceil(len(drawn) / beside)), layout="constrained")
    left, right = figure.subplots(1, 2)
    for k, (network, paths) in enumerate(drawn):
        for number, path in enumerate(paths):
            for axes, key, factor in ((left, "train/loss", 1), (right, "val/miou", 100)):
                epochs, values = series(path, key)
                style: dict[str, Any] = {
                    "color": COLOURS[k],
                    "linestyle": LINES[k % 4],
                    "linewidth": 1.0,
                    "alpha": 0.85,
                    "marker": "o" if len(epochs) < 2 else None,  # a single epoch makes no line
                }
                label = text(network) if number == 0 and axes is left else None
                axes.plot(epochs, factor * np.asarray(values), label=label, **style)
    left.set_ylabel("training loss (each row's own)")
    right.set_ylabel("validation mIoU, %")
    for axes in (left, right):
        axes.set_xlabel("epoch")
        axes.set_xlim(left=0.5)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(color="#eeeeee", linewidth=0.6)
    figure.legend(loc="outside upper center", ncols=beside, frameon=False, fontsize=8)
    return figure


def series(path: Path, key: str) -> tuple[Sequence[int], Sequence[float]]:
    """Epochs, counted from 1, and values of a metric, for the epochs that have it.

    Raises:
        InputError: the file is not one that a training has written.
    """
    way_out = "delete it, then the report has no curves of this run"
    epochs, values = [], []
    text = read_text(path, way_out=way_out)
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        if "epoch" not in (reader.fieldnames or ()):
            raise ValueError
        for row in reader:
            if row.get(key):
                epoch, value = int(row["epoch"]), float(row[key])
                if not 0 <= epoch < _EPOCHS:
                    raise ValueError
                epochs.append(epoch + 1)
                values.append(value if abs(value) < _FINITE else math.nan)
    except (csv.Error, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is not the table of epochs that a training writes: {way_out}.") from error
    return epochs, values
