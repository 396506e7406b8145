"""The curves of one training as a picture in its run folder: loss, validation mIoU and learning rate over epochs."""

from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from src.core.files.whole import replacing
from src.reporting.output.figures.plots import series
from src.reporting.output.figures.style import COLOURS, STYLE
from src.runs.folder import RunFolder

_LINES = {
    "loss": {"train/loss": ("training", 1), "val/loss": ("validation", 1)},
    "validation mIoU, %": {"val/miou": ("mIoU", 100)},
    "learning rate": {"train/lr": ("learning rate", 1)},
}
"""Per axes, by its label: metric to the name of its line, and the factor with which it is drawn."""


def draw_curves(folder: RunFolder) -> None:
    """Write `curves.svg` of `metrics.csv`; nothing is written if there is no such file.

    Raises:
        InputError: `metrics.csv` is not one that a training has written.
    """
    if not folder.metrics.exists():
        return
    with rc_context({**STYLE, "svg.hashsalt": "curves", "font.family": "sans-serif"}):
        figure = Figure(figsize=(10, 2.8), layout="constrained")
        for axes, (label, lines) in zip(figure.subplots(1, len(_LINES), sharex=True), _LINES.items(), strict=True):
            _draw(axes, folder, lines)
            axes.set_ylabel(label)
        with replacing(folder.curves) as temporary:
            figure.savefig(temporary, format="svg", metadata={"Date": None})


def _draw(axes: Axes, folder: RunFolder, lines: dict[str, tuple[str, int]]) -> None:
    for colour, (key, (name, factor)) in zip(COLOURS, lines.items(), strict=False):
        epochs, values = series(folder.metrics, key)
        # A single epoch makes no line.
        style: dict[str, Any] = {
            "color": colour,
            "linewidth": 1.2,
            "marker": "o" if len(epochs) < 2 else None,
            "gid": key,
        }
        axes.plot(epochs, factor * np.asarray(values), label=name, **style)
        if key == "val/miou" and np.isfinite(values).any():
            best = int(np.nanargmax(values))
            axes.plot(epochs[best], factor * values[best], "o", color=colour, markersize=4)
            axes.set_title(f"best {factor * values[best]:.2f}", fontsize=9)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(color="#eeeeee", linewidth=0.6)
    if len(lines) > 1:
        axes.legend(frameon=False, fontsize=8)
