"""The error browser as files: numbers of every image from the counts, pictures from the panels that were drawn."""

import io
import json
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from src.core.errors import printable
from src.data.inspection.overlay import LINE
from src.reporting.comparison import Comparison
from src.reporting.output.images.drawn import Panel, panels_of
from src.reporting.panels import WIDTH
from src.reporting.rows import Row
from src.scoring.metrics import hits_and_unions, image_miou

PAGE, LIST, PICTURES = "images.html", "images.txt", "images"
_MOST_COLUMNS = 60  # of a file: WebP has at most 16,383 px
_THUMB = 125  # px, width of one of the two pictures of a thumbnail
Values = npt.NDArray[np.float64]


@dataclass
class Browser:
    """The page with its pictures.

    Attributes:
        files: path below the report's folder to content.
        said: lines for the screen: what is shown, and what could not be drawn.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)


def browser(table: Comparison, count: int | None, folder: Path) -> Browser:
    """The page for a table, with up to `count` images drawn: the worst of the baseline's first seed come first.

    Args:
        table: gives rows and counts.
        count: of images with pictures; the page lists the numbers of all images. None: no page.
        folder: of the report, for the commands that draw what is missing.

    Raises:
        InputError: a panel is damaged, or is something else.
    """
    rows = [row for row in table.rows if row.done and row.done[0].scored is not None]  # an ensemble has no panels
    if count is None:
        return Browser()
    if not rows or table.baseline is None:
        return Browser(said=["images      no run is done, so there are none"])
    found = Browser()
    ids, miou, iou = _numbers(table, rows)
    base = next((k for k, row in enumerate(rows) if row is table.baseline), 0)  # it may be the one that is not done
    order = [k for k in np.argsort(miou[base], kind="stable") if np.isfinite(miou[base][k])]
    wanted = [ids[k] for k in order[:count]]
    known: dict[Path, Panel | None] = {}
    panels = [panels_of(row, table.counts[id(row.done[0])], known) for row in rows]
    shown = {*[k for k in order if any(ids[k] in drawn for drawn in panels)][:count]}
    names = table.classes.names if table.classes is not None else ()
    images = [
        {"id": printable(image_id), "miou": _percent(miou[:, k]), "iou": _classes(iou[:, k])}
        | (_pictures(found, k, [drawn.get(image_id) for drawn in panels], rows, base) if k in shown else {})
        for k, image_id in enumerate(ids)
    ]
    missing = _missing(table, rows, panels, wanted, folder / LIST)
    data = {
        "rows": [printable(table.label(row)) for row in rows],
        "baseline": base,
        "classes": [printable(name) for name in names],
        "colours": [f"#{bytes(c).hex()}" for c in table.classes.colours] if table.classes is not None else [],
        "background": table.classes.background if table.classes is not None else None,
        "width": WIDTH,
        "images": images,
    }
    page = _template().render(
        table=table,
        base=printable(table.label(rows[base])),
        data=_as_script(data),
        shown=len(shown),
        total=len(ids),
        wanted=len(wanted),
        missing=missing,
    )
    found.files |= {PAGE: page.encode(), LIST: "".join(f"{image}\n" for image in wanted).encode()}
    found.said.append(f"images      {folder / PAGE}: {len(shown)} of {len(ids)} images have pictures")
    found.said += [f"not drawn   {text}: {command}" for text, command in missing]
    return found


def _numbers(table: Comparison, rows: list[Row]) -> tuple[list[str], Values, Values]:
    """Ids of all N images, their own mIoU (R, N) and IoU per class (R, N, C) in each row's first seed; NaN: none."""
    counts = [table.counts[id(row.done[0])] for row in rows]
    ids = sorted({image for found in counts for image in found.ids})
    place = {image: k for k, image in enumerate(ids)}
    classes = len(counts[0].classes)
    miou, iou = np.full((len(rows), len(ids)), np.nan), np.full((len(rows), len(ids), classes), np.nan)
    for number, (row, found) in enumerate(zip(rows, counts, strict=True)):
        margin = found.margins[row.variant]
        where = [place[image] for image in found.ids]
        hit, union = np.moveaxis(hits_and_unions(margin), -2, 0)
        miou[number, where] = image_miou(margin)
        iou[number, where] = np.where(union > 0, hit / np.maximum(union, 1), np.nan)
    return ids, miou, iou


def _percent(values: Values) -> list[float | None]:
    return [None if np.isnan(value) else round(100 * float(value), 2) for value in values]


def _classes(iou: Values) -> dict[str, list[float | None]]:
    """For each class that some row has in the image, its IoU in each row, in per cent."""
    return {str(c): _percent(iou[:, c]) for c in np.flatnonzero(np.isfinite(iou).any(0))}


def _pictures(found: Browser, place: int, panels: list[Panel | None], rows: list[Row], base: int) -> dict[str, Any]:
    """Add the pictures of one image to the files; says where each row's column lies in them.

    Returns:
        `height` of a column; `columns`, for each row [file, place in it] or None; `image`, the same for the image above
        the truth; and `thumb`, a file.
    """
    columns: list[list[Any] | None] = [None] * len(rows)
    whole: list[Any] | None = None
    by_path: dict[Path, list[int]] = {}
    for number, panel in enumerate(panels):
        if panel is not None:
            by_path.setdefault(panel.path, []).append(number)
    first = panels[base] or next(panel for panel in panels if panel is not None)
    for members in by_path.values():
        panel = panels[members[0]]
        assert panel is not None
        if panel.height != first.height:
            continue  # of an image of another size: another protocol
        for begin in range(0, len(members), _MOST_COLUMNS):
            part = members[begin : begin + _MOST_COLUMNS]
            name = f"{PICTURES}/{place:06d}-{len(found.files)}.webp"
            places = [0, *(1 + panel.variants.index(rows[number].variant) for number in part)]
            found.files[name] = _webp(panel.columns(places))
            whole = whole or [name, 0]
            for column, number in enumerate(part, 1):
                columns[number] = [name, column]
    shown = rows[base].variant if panels[base] is not None else first.variants[0]
    thumb = f"{PICTURES}/{place:06d}.webp"
    found.files[thumb] = _webp(_thumbnail(first, 1 + first.variants.index(shown)))
    return {"height": first.pair, "columns": columns, "image": whole, "thumb": thumb}


def _thumbnail(panel: Panel, column: int) -> Image.Image:
    """The image beside the errors of a variant."""
    pair, half = panel.columns([0, column]), panel.pair // 2
    left = pair.crop((0, LINE, WIDTH, LINE + panel.height))
    right = pair.crop((WIDTH, half + LINE, 2 * WIDTH, half + LINE + panel.height))
    height = max(1, round(_THUMB * panel.height / WIDTH))
    small = Image.new("RGB", (2 * _THUMB, height))
    for number, picture in enumerate((left, right)):
        small.paste(picture.resize((_THUMB, height), Image.Resampling.BOX), (number * _THUMB, 0))
    return small


def _webp(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, format="WEBP", quality=80)
    return out.getvalue()


def _missing(
    table: Comparison, rows: list[Row], panels: list[dict[str, Panel]], wanted: list[str], listed: Path
) -> list[tuple[str, str]]:
    """What could not be drawn of the images that should be, and how to get it: a sentence and a command or hint."""
    lacking: dict[Path, tuple[int, str]] = {}
    for row, drawn in zip(rows, panels, strict=True):
        scored, counts = row.done[0].scored, table.counts[id(row.done[0])]
        assert scored is not None
        own = [image for image in wanted if image in counts.ids]
        number = len([image for image in own if image not in drawn])
        if not number:
            continue
        word = shlex.quote(f"panels={printable(listed)}")
        if len(own) < len(wanted):
            how = "score it with panels=FILE, a list of those images that it is scored on"
        elif "source" in counts.results:  # of `src.evaluate`: the same question has the same folder
            how = f"python -m src.evaluate with the words that scored it, and {word}"
        elif scored.best.exists():
            how = f"python -m src.evaluate {shlex.quote(f'run={printable(scored.path)}')} {word}"
        else:
            how = f"{printable(scored.best)} is missing; where it is, score it with {word}"
        lacking[scored.path] = max(lacking.get(scored.path, (0, how)), (number, how))
    return [
        (f"{printable(path)} has no panels of {number} of the {len(wanted)} worst images", how)
        for path, (number, how) in lacking.items()
    ]


def _as_script(data: dict[str, Any]) -> Markup:
    """JSON that can stand inside a script element: nothing in it ends the element."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)


def _template() -> Any:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        finalize=lambda value: printable(value) if type(value) is str else value,
    )
    return environment.get_template("images.html.j2")
