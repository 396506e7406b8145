"""A comparison as one HTML page that needs no network and no other file."""

import base64
import io
import math
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.figure import Figure

from src.core.errors import InputError, printable
from src.core.files.reading import open_regular
from src.reporting.collect import Cell, differing
from src.reporting.comparison import Comparison
from src.reporting.counts import Counts
from src.reporting.output import costs, formats
from src.reporting.output.text import definitions
from src.reporting.rows import Row
from src.reporting.statistics.ratios import WHOLE
from src.scoring.metrics import image_miou

_TITLES = {
    "forest": ("How large the differences are, and how sure", "A row whose interval crosses 0 is not separable."),
    "boundaries": ("Near boundaries", "Where a CRF or a fusion rule moves pixels: close to the edges of objects."),
    "classes": ("Per class", "The numbers are IoU in per cent; the colours are the change to the baseline."),
    "costs": ("What it costs", "Up and to the left is better. Lines are 95 % intervals of mIoU."),
    "curves": ("Training", "Each line is a seed."),
}


_PICTURE = 2**24  # bytes; ours have some 100,000


@dataclass(frozen=True)
class Picture:
    """The image on which a row is best or worst."""

    text: str
    source: str  # data URI


def render(table: Comparison, commands: list[str], figures: Mapping[str, Figure], *, images: bool = False) -> str:
    """The page as HTML text; `commands` are those that make the runs, `images` whether there is a page of images."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        finalize=_shown,
    )
    shown = formats.shown(table)
    return environment.get_template("page.html.j2").render(
        table=table,
        summary=formats.summary(table),
        caption=formats.caption(table),
        notes=[*costs.sentences(table), *table.notes],
        headings=[formats.HEADINGS[k] for k in shown],
        rows=[(row, [(texts[k], keys[k]) for k in shown]) for row, texts, keys in _texts(table)],
        figures=[(name, *_TITLES[name], _svg(name, figure)) for name, figure in figures.items()],
        others=(definitions.TITLE, *definitions.grid(table), definitions.sentences(table)) if table.others else None,
        classes=_classes(table),
        pictures=_pictures(table),
        images=images,
        broken=[cell for cell in table.cells if not cell.is_done],
        differences=_differences(table.cells),
        commands=[*commands, *_own_commands(table.cells)],
    )


def _shown(value: Any) -> Any:
    """What the page shows for a value; names are escaped for HTML after that."""
    return printable(value) if isinstance(value, str | Path) and not isinstance(value, Markup) else value


def _texts(table: Comparison) -> list[tuple[Row, list[str], list[str]]]:
    return [(row, formats.columns(table, row), _sort_keys(table, row)) for row in table.rows]


def _sort_keys(table: Comparison, row: Row) -> list[str]:
    """The sort key of each column: a number if there is one."""
    if row.estimate is None:
        return ["" for _ in formats.HEADINGS]
    found = [math.nan, len(row.done), row.estimate.value[0], row.estimate.seeds_sd[0]]
    found += [0.0 if row.difference is None else row.difference.value[0], row.p, math.nan, row.estimate.value[1]]
    found += [row.estimate.value[WHOLE.index(name)] for name in formats.NEAR]
    found += [costs.value(table, row, cost) for cost in costs.COSTS]
    texts = {0: table.label(row), 6: row.verdict}
    return [texts.get(k, "" if math.isnan(value) else f"{value:.9g}") for k, value in enumerate(found)]


def _svg(name: str, figure: Figure) -> str:
    out = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": name, "font.family": "sans-serif"}):
        figure.savefig(out, format="svg", metadata={"Date": None})
    text = out.getvalue()
    return re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)


def _classes(table: Comparison) -> list[tuple[str, list[str]]]:
    """Per class, the IoU with interval of each row; classes that do not occur are left out."""
    rows = [row for row in table.rows if row.estimate is not None]
    found = []
    for name in table.classes.names if table.classes is not None else ():
        score = table.scores.index(f"iou/{name}")
        cells = [formats.interval(row.estimate, score) for row in rows if row.estimate is not None]
        if any(cell != "–" for cell in cells):
            found.append((name, cells))
    return found


def _pictures(table: Comparison) -> list[tuple[str, list[Picture]]]:
    """Per row, the pictures of its first seed."""
    found = {table.label(row): _of_row(table, row.done[0], row.variant) for row in table.rows if row.done}
    return [(label, pictures) for label, pictures in found.items() if pictures]


def _of_row(table: Comparison, cell: Cell, variant: str) -> list[Picture]:
    found: list[Picture] = []
    if cell.scored is None:
        return found
    counts = table.counts[id(cell)]
    is_change = variant != "none" and "none" in counts.margins
    for end, (image, score) in _extremes(counts, variant).items():
        path = cell.scored.panels / "extremes" / f"{variant}-{end}.webp"
        if path.exists():
            change = f"change to the network alone {100 * score:+.1f} points"
            value = change if is_change else f"mIoU of this image {100 * score:.1f} %"
            found.append(Picture(f"{end}: {image}, {value}", _data_uri(path)))
    return found


def _extremes(counts: Counts, variant: str) -> dict[str, tuple[str, float]]:
    """Id and score of the images on which a variant is best and worst; the same images as `Extremes` has drawn."""
    score = image_miou(counts.margins[variant])
    if variant != "none" and "none" in counts.margins:
        score = score - image_miou(counts.margins["none"])
    if np.isnan(score).all():
        return {}
    picks = {"best": int(np.nanargmax(score)), "worst": int(np.nanargmin(score))}
    return {end: (counts.ids[k], float(score[k])) for end, k in picks.items()}


def _data_uri(path: Path) -> str:
    """A picture inside the page; a file that is none could be a private one that a link in the folder leads to."""
    with open_regular(path, way_out="delete it") as file:
        content = file.read(_PICTURE + 1)
    if len(content) > _PICTURE or content[:4] != b"RIFF" or content[8:12] != b"WEBP":
        raise InputError(f"{path} is not a WebP picture of at most {_PICTURE:,} bytes: delete it.")
    return "data:image/webp;base64," + base64.b64encode(content).decode()


def _differences(cells: list[Cell]) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Names of the distinct configs, and for each key that differs, its value in each config."""
    keys = differing(cells)
    distinct: dict[tuple[str, ...], str] = {}
    for cell in cells:
        if cell.content:
            values = tuple(str(cell.content.get(key, "")) for key in keys)
            name = " ".join(word for word in cell.label.split() if not word.startswith("seed=")) or cell.label
            distinct.setdefault(values, name)
    return list(distinct.values()), [(key, [values[k] for values in distinct]) for k, key in enumerate(keys)]


def _own_commands(cells: list[Cell]) -> list[str]:
    """Commands that score runs again, for runs that the user named by folder."""
    runs = [cell.run for cell in cells if not cell.options and cell.run and cell.run.best.exists()]
    return [f"python -m src.evaluate {shlex.quote(f'run={run.path}')}" for run in runs]
