"""A comparison as text: on the screen, and as Markdown, CSV and LaTeX."""

import csv
import io
import math
from collections.abc import Sequence

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from src.reporting.comparison import SCORES, TRIMAPS, Comparison, Row
from src.reporting.statistics import Difference, Estimate
from src.scoring.metrics import RADII

_STYLES = {"better": "green", "worse": "red"}


def percent(value: float, digits: int = 2) -> str:
    """A fraction in per cent; a dash for NaN."""
    return "–" if math.isnan(value) else f"{100 * value:.{digits}f}"


def interval(found: Estimate | Difference, score: int, *, sign: bool = False) -> str:
    """Value and 95 % interval of a score in per cent, such as "73.26 [70.10, 75.93]"."""
    form = "{:+.2f}" if sign else "{:.2f}"
    value, low, high = (100 * float(array[score]) for array in (found.value, found.low, found.high))
    return "–" if math.isnan(value) else f"{form.format(value)} [{form.format(low)}, {form.format(high)}]"


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
        *(percent(float(row.estimate.value[SCORES.index(name)]), 1) for name in TRIMAPS),
    ]


HEADINGS = (
    *("row", "seeds", "mIoU %", "sd of seeds", "to baseline", "p (Holm)", "verdict", "pixel accuracy %"),
    *(f"{radius} px" for radius in RADII),
)
_TRIMAP_NOTE = "mIoU % within this distance (px) of a boundary of the truth"


def shown(table: Comparison) -> list[int]:
    """Indices of the useful `HEADINGS`: no spread without several seeds, no trimaps if none were counted."""
    done = [row.estimate for row in table.rows if row.estimate is not None]
    seeds = any(not np.isnan(found.seeds_sd[0]) for found in done)
    near = any(not np.isnan(found.value[SCORES.index(name)]) for found in done for name in TRIMAPS)
    return [k for k in range(len(HEADINGS)) if (k != 3 or seeds) and (k < 8 or near)]


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
        drawn.add_row(*(cells[k] for k in picked), style=_STYLES.get(row.verdict))
    return drawn


def show(table: Comparison, console: Console) -> None:
    """The table and its notes on the terminal."""
    console.print(f"\n[bold]{table.question}[/bold] ({table.name})", soft_wrap=True, highlight=False)
    console.print(screen(table, console.width))
    for line in [*summary(table), *table.notes]:
        console.print(line, highlight=False)
    for cell in table.cells:
        if not cell.is_done:
            console.print(f"{cell.standing}: {cell.label} {cell.reason}", style="red", soft_wrap=True, highlight=False)


def markdown(table: Comparison) -> str:
    """The table, its caption and its notes."""
    lines = [f"**{table.question}**", "", caption(table), ""]
    picked = shown(table)
    lines += [_line([HEADINGS[k] for k in picked]), "|---|" + "---:|" * (len(picked) - 1)]
    for row in table.rows:
        cells = columns(table, row)
        lines.append(_line([cells[k] for k in picked]))
    lines += ["", *(f"* {note}" for note in table.notes)]
    lines += [f"* {cell.standing}: `{cell.label}` {cell.reason}".rstrip() for cell in table.cells if not cell.is_done]
    return "\n".join(lines).rstrip() + "\n"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def caption(table: Comparison) -> str:
    """A short text that explains the numbers."""
    facts = table.facts
    baseline = table.label(table.baseline) if table.baseline is not None else "none"
    return (
        f"{facts.get('images', '0')} images of {facts.get('data', 'no data')}, protocol {facts.get('protocol', '-')}. "
        f"Brackets hold 95 % intervals from {table.resamples:,} resamples of the images; with several seeds, they "
        f"include the spread of the seeds. Differences of mIoU are to the baseline ({baseline}), paired by image. p is "
        f"corrected for the number of rows (Holm). A row is better or worse if p < 0.05; this is stricter than an "
        f"interval without 0. Last columns: {_TRIMAP_NOTE}."
    )


def csv_text(table: Comparison) -> str:
    """Every score of every row with its interval and difference, as fractions; one line per row and score."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        [
            *("row", "network", "variant", "score", "seeds", "value", "low", "high", "sd_seeds"),
            *("difference", "difference_low", "difference_high", "p", "p_holm", "verdict"),
        ]
    )
    for row in table.rows:
        for index, name in enumerate(SCORES):
            writer.writerow([table.label(row), row.network, row.variant, name, len(row.done), *_numbers(row, index)])
    return out.getvalue()


def _numbers(row: Row, score: int) -> list[str]:
    if row.estimate is None:
        return ["" for _ in range(10)]
    found: list[float] = [float(getattr(row.estimate, key)[score]) for key in ("value", "low", "high", "seeds_sd")]
    if row.difference is None:
        found += [math.nan] * 4
    else:
        found += [float(getattr(row.difference, key)[score]) for key in ("value", "low", "high", "p")]
    of_row = [row.p, row.verdict] if score == 0 else [math.nan, ""]
    return ["" if isinstance(v, float) and math.isnan(v) else str(v) for v in [*found, *of_row]]


def latex(table: Comparison) -> str:
    """A table of mIoU, difference, p and pixel accuracy for the package booktabs."""
    picked = (0, 1, 2, 4, 5, 6, 7)
    lines = [r"\begin{table}", r"\centering", rf"\caption{{{_escaped(table.question)} {_escaped(caption(table))}}}"]
    lines += [rf"\label{{tab:{table.name}}}", rf"\begin{{tabular}}{{l{'r' * (len(picked) - 2)}r}}", r"\toprule"]
    lines += [" & ".join(_escaped(HEADINGS[k]) for k in picked) + r" \\", r"\midrule"]
    for row in table.rows:
        cells = columns(table, row)
        lines.append(" & ".join(_escaped(cells[k]) for k in picked) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}", r"\end{table}"]
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    replaced = {"\\": r"\textbackslash{}", "–": "--", "<": r"$<$", "+": r"$+$"} | {c: f"\\{c}" for c in "%_&#{}$"}
    negative = text.replace("[-", "[\N{MINUS SIGN}")
    if negative[:1] == "-" and negative[1:2].isdigit():
        negative = "\N{MINUS SIGN}" + negative[1:]
    negative = negative.replace(", -", ", \N{MINUS SIGN}")
    return "".join(replaced.get(c, c) for c in negative).replace("\N{MINUS SIGN}", "$-$")


def summary(table: Comparison) -> list[str]:
    """The verdicts in words; at most one sentence per verdict."""
    if table.baseline is None or not any(row.done for row in table.rows):
        return ["Nothing is scored yet."]
    sentences = []
    base = table.label(table.baseline)
    for mark, words in (("better", "better than"), ("worse", "worse than"), ("not separable", "not separable from")):
        found = [table.label(row) for row in table.rows if row.verdict == mark]
        if mark == "not separable" and len(found) > 4:
            found = [f"{len(found)} rows"]
        if found:
            plural = len(found) > 1 or found[0].endswith(" rows")
            sentences.append(f"{_listed(found)} {'are' if plural else 'is'} {words} {base}.")
    return sentences


def _listed(names: Sequence[str], most: int = 12) -> str:
    listed = [*names[:most], *([f"{len(names) - most} more"] if len(names) > most else [])]
    return listed[0] if len(listed) == 1 else ", ".join(listed[:-1]) + " and " + listed[-1]
