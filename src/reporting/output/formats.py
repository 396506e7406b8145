"""A comparison as text: on the screen, and as Markdown, CSV and LaTeX."""

import csv
import io
import math
import re
from collections.abc import Sequence

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from src.reporting.comparison import Comparison
from src.reporting.output import costs
from src.reporting.output.text import definitions
from src.reporting.output.text.escapes import in_csv, in_latex, in_markdown, line, with_minus
from src.reporting.rows import Row
from src.reporting.statistics.intervals import Estimate
from src.reporting.statistics.ratios import TRIMAPS, WHOLE
from src.reporting.statistics.remarks import listed
from src.reporting.statistics.verdicts import Difference, verdict
from src.scoring.metrics import RADII

_STYLES = {"better": "green", "worse": "red"}
_OPEN = (("not separable", "not separable from"), ("not comparable", "not comparable with"))


def percent(value: float, digits: int = 2) -> str:
    """A fraction in per cent; a dash for NaN."""
    return "–" if math.isnan(value) else f"{100 * value:.{digits}f}"


def interval(found: Estimate | Difference, score: int, *, sign: bool = False) -> str:
    """Value and 95 % interval of a score in per cent, such as "73.26 [70.10, 75.93]"; without one, the value alone."""
    form = "{:+.2f}" if sign else "{:.2f}"
    value, low, high = (100 * float(array[score]) for array in (found.value, found.low, found.high))
    if math.isnan(value) or math.isnan(low):
        return "–" if math.isnan(value) else form.format(value)
    return f"{form.format(value)} [{form.format(low)}, {form.format(high)}]"


def p_value(p: float) -> str:
    """A p-value with three digits, or "<0.001"."""
    return "" if math.isnan(p) else "<0.001" if p < 0.001 else f"{p:.3f}"


def columns(table: Comparison, row: Row) -> list[str]:
    """The text of a row under each of `HEADINGS`."""
    seeds = f"{len(row.done)}" if len(row.done) == len(row.cells) else f"{len(row.done)} of {len(row.cells)}"
    if row.estimate is None:
        return [table.label(row), seeds, "missing", *[""] * (len(HEADINGS) - 3)]
    if row.difference is not None:
        change = interval(row.difference, 0, sign=True)
    else:
        change = "baseline" if row is table.baseline else ""
    return [
        table.label(row),
        seeds,
        interval(row.estimate, 0),
        percent(float(row.estimate.seeds_sd[0])),
        change,
        p_value(row.p),
        row.verdict,
        interval(row.estimate, 1),
        *(percent(float(row.estimate.value[WHOLE.index(name)]), 1) for name in NEAR),
        *(costs.text(costs.value(table, row, cost), cost) for cost in costs.COSTS),
    ]


HEADINGS = (
    *("row", "seeds", "mIoU %", "sd of seeds", "to baseline", "p", "verdict", "pixel accuracy %"),
    *(*(f"{radius} px" for radius in RADII), "boundary IoU"),
    *(cost.heading for cost in costs.COSTS),
)
_MOST_BETTER, _MOST_OPEN = 6, 4  # rows of one verdict whose names a sentence holds
_FIRST_NEAR = HEADINGS.index(f"{RADII[0]} px")
NEAR = (*TRIMAPS, "boundary_iou")
"""Scores near boundaries, each a column if it was counted."""
_NEAR_NOTES = {
    TRIMAPS[0]: " Columns in px: mIoU % within this distance (px) of a boundary of the truth.",
    NEAR[-1]: " Boundary IoU: of the pixels within 2 % of the diagonal of the boundaries of truth and prediction.",
}


def shown(table: Comparison) -> list[int]:
    """Indices of the useful `HEADINGS`: no spread without several seeds, nothing near boundaries that was not counted.

    And only costs that differ between rows.
    """
    done = [row.estimate for row in table.rows if row.estimate is not None]
    seeds = any(not np.isnan(found.seeds_sd[0]) for found in done)
    near = [_FIRST_NEAR + k for k, name in enumerate(NEAR) if _is_counted(table, name)]
    apart = [HEADINGS.index(cost.heading) for cost in costs.differing(table)]
    return [k for k in range(_FIRST_NEAR) if seeds or HEADINGS[k] != "sd of seeds"] + near + apart


def _is_counted(table: Comparison, name: str) -> bool:
    done = [row.estimate for row in table.rows if row.estimate is not None]
    return any(not np.isnan(found.value[WHOLE.index(name)]) for found in done)


def screen(table: Comparison, width: int) -> Table:
    """The table for a terminal of `width` characters: the main columns, and more if there is room."""
    room = {78: (0, 2, 6), 105: (0, 2, 4, 6), 135: (0, 1, 2, 4, 5, 6)}
    fitting: Sequence[int] = next((columns for most, columns in room.items() if width < most), range(8))
    picked = [k for k in shown(table) if k in fitting]
    drawn = Table(box=box.SIMPLE_HEAD)
    for k in picked:
        left = HEADINGS[k] in ("row", "verdict")
        drawn.add_column(HEADINGS[k], justify="left" if left else "right", no_wrap=k > 0)
    for row in table.rows:
        cells = columns(table, row)
        cells[0] = cells[0].replace("_", " ")  # so that lines can break
        drawn.add_row(*(Text(cells[k]) for k in picked), style=_STYLES.get(row.verdict))
    return drawn


def show(table: Comparison, console: Console) -> None:
    """The table and its notes on the terminal."""
    console.print(Text.assemble("\n", (table.question, "bold"), f" ({table.name})"), soft_wrap=True)
    console.print(screen(table, console.width))
    for note in [*summary(table), *costs.sentences(table), *table.notes]:
        console.print(Text(note))
    definitions.show(table, console)
    for cell in table.cells:
        if not cell.is_done:
            console.print(Text(f"{cell.standing}: {cell.label} {cell.reason}", style="red"), soft_wrap=True)


def markdown(table: Comparison) -> str:
    """The table, its caption and its notes."""
    lines = [f"**{in_markdown(table.question)}**", "", in_markdown(caption(table)), ""]
    picked = shown(table)
    lines += [line([HEADINGS[k] for k in picked]), "|---|" + "---:|" * (len(picked) - 1)]
    for row in table.rows:
        cells = columns(table, row)
        lines.append(line([in_markdown(cells[k]) if k == 0 else cells[k] for k in picked]))
    lines += ["", *(f"* {in_markdown(note)}" for note in [*costs.sentences(table), *table.notes])]
    for cell in table.cells:
        if not cell.is_done:
            label = in_markdown(cell.label) if set("`<") & set(cell.label) else f"`{cell.label}`"
            lines.append(f"* {cell.standing}: {label} {in_markdown(cell.reason)}".rstrip())
    lines += definitions.markdown(table)
    return "\n".join(lines).rstrip() + "\n"


def caption(table: Comparison) -> str:
    """A short text that explains the numbers."""
    facts = table.facts
    baseline = table.label(table.baseline) if table.baseline is not None else "none"
    done = [row.difference for row in table.rows if row.difference is not None]
    seeds = any(found.with_seeds for found in done)
    by = "image by image" if table.unit == "images" else "group by group"
    asked = "other images of this kind and other seeds" if seeds else "other images of this kind, for these networks"
    return (
        f"{facts.get('images', '0')} images of {facts.get('data', 'no data')}, protocol {facts.get('protocol', '-')}. "
        f"Brackets hold 95 % intervals: what {asked} would give. Differences of mIoU are to the baseline ({baseline}), "
        f"{by}; p says how often chance alone would give one as large in any of the rows "
        f"({table.resamples:,} swaps of {table.unit}{', and errors of seeds' if seeds else ''}). A row is better or "
        "worse if p < 0.05, which is where the interval of its difference is without 0."
        + "".join(note for name, note in _NEAR_NOTES.items() if _is_counted(table, name))
    )


def csv_text(table: Comparison) -> str:
    """Every score of every row with its interval and difference, as fractions; one line per row and score.

    Then a line per row and cost, in seconds, bytes and plain numbers, and per row and other definition of mIoU.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        [
            *("row", "network", "variant", "score", "seeds", "value", "low", "high", "sd_seeds"),
            *("difference", "difference_low", "difference_high", "p", "p_corrected", "verdict"),
        ]
    )
    for place, row in enumerate(table.rows):
        texts = [in_csv(text) for text in (table.label(row), row.network, row.variant)]
        for index, name in enumerate(table.scores):
            writer.writerow([*texts, name, len(row.done), *_numbers(row, index)])
        for cost in costs.COSTS:
            if not math.isnan(number := costs.value(table, row, cost)):
                writer.writerow([*texts, cost.key, len(row.done), f"{number:g}", *[""] * 9])
        for other in table.others:
            if not math.isnan(other.values[place]):
                writer.writerow([*texts, f"miou/{other.definition.key}", len(row.done), other.values[place], *[""] * 9])
    return out.getvalue()


def _numbers(row: Row, score: int) -> list[str]:
    if row.estimate is None:
        return ["" for _ in range(10)]
    found: list[float] = [float(getattr(row.estimate, key)[score]) for key in ("value", "low", "high", "seeds_sd")]
    change = row.difference
    if change is None:
        found += [math.nan] * 5
    else:
        found += [float(getattr(change, key)[score]) for key in ("value", "low", "high", "p", "corrected")]
    decided = "" if math.isnan(found[-1]) else verdict(found[4], found[-1])
    return [*("" if math.isnan(value) else str(value) for value in found), decided]


def latex(table: Comparison) -> str:
    """A table of mIoU, difference, p and pixel accuracy for the package booktabs."""
    picked = (0, 1, 2, 4, 5, 6, 7)
    label = re.sub(r"[^A-Za-z0-9.+-]+", "-", table.name)
    lines = [r"\begin{table}", r"\centering", rf"\caption{{{in_latex(table.question)} {in_latex(caption(table))}}}"]
    lines += [rf"\label{{tab:{label}}}", rf"\begin{{tabular}}{{l{'r' * (len(picked) - 2)}r}}", r"\toprule"]
    lines += [" & ".join(in_latex(HEADINGS[k]) for k in picked) + r" \\", r"\midrule"]
    for row in table.rows:
        cells = columns(table, row)
        texts = [in_latex(cells[k]) if k == 0 else in_latex(with_minus(cells[k])) for k in picked]
        lines.append("{}" * (texts[0][:1] in ("[", "*")) + " & ".join(texts) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}", r"\end{table}"]
    return "\n".join(lines) + "\n"


def summary(table: Comparison) -> list[str]:
    """The verdicts in words; at most one sentence per verdict. Of many rows, those that differ most are named."""
    if table.baseline is None or not any(row.done for row in table.rows):
        return ["Nothing is scored yet."]
    return [
        _sentence(table, rows, words, named=mark not in dict(_OPEN))
        for mark, words in (("better", "better than"), ("worse", "worse than"), *_OPEN)
        if (rows := [row for row in table.rows if row.verdict == mark])
    ]


def _sentence(table: Comparison, rows: list[Row], words: str, *, named: bool) -> str:
    assert table.baseline is not None
    base = table.label(table.baseline)
    if len(rows) <= (_MOST_BETTER if named else _MOST_OPEN):
        return f"{listed([table.label(row) for row in rows])} {'are' if len(rows) > 1 else 'is'} {words} {base}."
    largest = sorted(rows, key=lambda row: -abs(float(row.difference.value[0])) if row.difference else 0.0)[:3]
    most = f", most of all {listed([table.label(row) for row in largest])}" if named else ""
    return f"{len(rows)} rows are {words} {base}{most}."
