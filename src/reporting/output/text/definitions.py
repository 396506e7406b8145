"""The same counts by the rules of other libraries: a small table, so that a reader finds his number again."""

import math
from collections.abc import Mapping

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from src.reporting.comparison import Comparison
from src.reporting.output.text.escapes import in_markdown, line
from src.scoring.definitions import CROP, DEFINITIONS, Counted, Margins

_ROOM = 78  # characters of a line
TITLE = "mIoU % by other rules, from the same counts"


def count(table: Comparison, crops: Mapping[int, Margins], lacking: list[str]) -> None:
    """Fill in the other definitions of a table.

    Args:
        table: gets them.
        crops: of cells, by their `id`, the margins (N, 3, C) of the centre crops of variant `none`.
        lacking: why there are no crops of the other cells, in sentences.
    """
    if table.classes is None:  # nothing is scored yet
        return
    background = table.classes.background
    for definition in DEFINITIONS:
        found = [
            [definition.value(table.counts[id(cell)].margins[row.variant], background) for cell in row.done]
            for row in table.rows
        ]
        table.others.append(Counted(definition, [_mean(values) for values in found]))
    found = [
        [CROP.value(crops[id(cell)], background) if id(cell) in crops else math.nan for cell in row.done]
        if row.variant == "none"
        else []
        for row in table.rows
    ]
    table.others.append(Counted(CROP, [_mean(values) for values in found]))
    table.others = [one for one in table.others if not all(map(math.isnan, one.values))]
    if background is None:
        table.other_notes.append("The data names no background class, so there is no mIoU without it.")
    table.other_notes += lacking


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else math.nan


def grid(table: Comparison) -> tuple[list[str], list[list[str]]]:
    """Headings, and a list of texts per row: its label, the report's own mIoU, and those by other rules."""
    headings = ["row", "this report", *(one.definition.heading for one in table.others)]
    rows = []
    for place, row in enumerate(table.rows):
        own = math.nan if row.estimate is None else float(row.estimate.value[0])
        numbers = [own, *(one.values[place] for one in table.others)]
        rows.append([table.label(row), *("–" if math.isnan(n) else f"{100 * n:.2f}" for n in numbers)])
    return headings, rows


def sentences(table: Comparison) -> list[str]:
    """What each rule counts, and which numbers are missing."""
    own = (
        "this report: all images together, mean over the classes that are true or predicted (VOC's rule, and that of "
        "mmsegmentation)."
    )
    found = [own, *(f"{one.definition.heading}: {one.definition.sentence}" for one in table.others)]
    return [*found, *table.other_notes]


def show(table: Comparison, console: Console) -> None:
    """The small table on the terminal, if it was asked for."""
    if not table.others:
        return
    headings, rows = grid(table)
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for k, heading in enumerate(headings):
        texts = [heading, *(cells[k] for cells in rows)]
        widest = max(len(word) for text in texts for word in text.replace("_", " ").split())
        least = min(widest, 15) if console.width >= _ROOM else None  # lines break between words where there is room
        drawn.add_column(heading, justify="right" if k else "left", overflow="fold", min_width=least)
    for texts in rows:
        drawn.add_row(*map(Text, [texts[0].replace("_", " "), *texts[1:]]))
    console.print(Text(f"\n{TITLE}", style="bold"))
    console.print(drawn)
    for sentence in sentences(table):
        console.print(Text(sentence))


def markdown(table: Comparison) -> list[str]:
    """The small table as lines, if it was asked for."""
    if not table.others:
        return []
    headings, rows = grid(table)
    lines = ["", f"**{TITLE}**", "", line(headings), "|---|" + "---:|" * (len(headings) - 1)]
    lines += [line([in_markdown(texts[0]), *texts[1:]]) for texts in rows]
    return [*lines, "", *(f"* {in_markdown(sentence)}" for sentence in sentences(table))]
