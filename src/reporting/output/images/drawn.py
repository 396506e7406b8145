"""The panels that scoring has drawn: where they lie, what their columns are, and their pixels."""

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from src.core.errors import InputError
from src.core.files.reading import open_regular
from src.data.inspection.overlay import LINE
from src.reporting.collect import Cell, flat
from src.reporting.counts import Counts
from src.reporting.panels import GAP, LAYOUT, WIDTH
from src.reporting.rows import Row
from src.runs.checks.records import read_config
from src.runs.folder import RunFolder

_BYTES = 2**24  # of a panel; ours have some 100,000 per ten variants
_PIXELS = 2**26
_QUESTION = ("data.", "crf.", "recipe.protocol", "map_classes")  # keys that decide, beside a variant's own, what it is


@dataclass(frozen=True)
class Panel:
    """A panel on the disk.

    Attributes:
        path: of the PNG file.
        variants: of its columns, from the second on; the first is the image above the truth.
        height: px of one picture in it.
    """

    path: Path
    variants: tuple[str, ...]
    height: int

    @property
    def pair(self) -> int:
        """Px of a column: a title above a picture, twice."""
        return 2 * (LINE + self.height + GAP)

    def columns(self, places: list[int]) -> Image.Image:
        """Some columns side by side without gaps, (`pair`, `WIDTH` times their number), RGB.

        Args:
            places: 0 for the image, k + 1 for variant k.

        Raises:
            InputError: the file is damaged.
        """
        with _opened(self.path) as picture:
            try:
                whole = picture.convert("RGB")
            except (OSError, SyntaxError, ValueError) as error:
                raise InputError(f"{self.path} is damaged: delete it.") from error
        strip = Image.new("RGB", (WIDTH * len(places), self.pair))
        for number, place in enumerate(places):
            left = GAP + place * (WIDTH + GAP)
            strip.paste(whole.crop((left, 0, left + WIDTH, self.pair)), (number * WIDTH, 0))
        return strip


def _opened(path: Path) -> Image.Image:
    """A PNG file of a panel's size; its pixels are not read yet."""
    with open_regular(path, way_out="delete it") as file:
        content = file.read(_BYTES + 1)
    try:
        picture = Image.open(io.BytesIO(content), formats=["PNG"])
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"{path} is not a PNG picture: delete it.") from error
    if len(content) > _BYTES or picture.width * picture.height > _PIXELS:
        raise InputError(f"{path} is larger than any panel that this project draws: delete it.")
    return picture


def read_panel(path: Path) -> Panel | None:
    """What the columns of a panel are; None if the file does not say it, as those of older versions.

    Raises:
        InputError: it is not a picture, or has no such columns.
    """
    with _opened(path) as picture:
        text, size = picture.info.get(LAYOUT), picture.size
    if not isinstance(text, str):
        return None
    try:
        layout = json.loads(text)
        panel = Panel(path, tuple(map(str, layout["variants"])), int(layout["height"]))
    except (KeyError, TypeError, ValueError, RecursionError):
        panel = Panel(path, (), 0)
    width = GAP + (1 + len(panel.variants)) * (WIDTH + GAP)
    if panel.height < 1 or size[0] != width or size[1] < panel.pair:
        raise InputError(f"{path} does not have the columns that it names: delete it.")
    return panel


def panels_of(row: Row, counts: Counts, known: dict[Path, Panel | None]) -> dict[str, Panel]:
    """The panels with a row's labels, of its first seed, by the image's id.

    They lie in the folder with its scores, or in another folder with scores of the same network, data and variant.

    Args:
        row: with at least one run that is done.
        counts: of that run.
        known: panels that were read before, by path; those that are read now are added.

    Raises:
        InputError: a panel is something else.
    """
    found: dict[str, Panel] = {}
    for folder in _folders(row.done[0], row.variant, counts):
        drawn = {path.stem: path for path in folder.panels.glob("*.png")}
        for image_id in drawn.keys() & {*counts.ids} - found.keys():
            path = drawn[image_id]
            panel = known[path] = known[path] if path in known else read_panel(path)
            if panel is not None and row.variant in panel.variants:
                found[image_id] = panel
    return found


def _folders(cell: Cell, variant: str, counts: Counts) -> Iterator[RunFolder]:
    """The folders in which a variant of a run means the same, that with its scores first."""
    assert cell.scored is not None
    yield cell.scored
    inside = cell.scored.path.resolve().parent
    training = inside.parent if inside.name == "evaluations" else cell.scored.path
    beside = [training, *sorted(path.parent for path in training.glob("evaluations/*/config.yaml"))]
    asked = _question(flat(read_config(cell.scored.config)), variant)
    for folder in map(RunFolder, beside):
        if folder.path.resolve() == cell.scored.path.resolve() or not folder.results.exists():
            continue
        data = [found.get("fingerprint", {}).get("val") for found in (folder.read_results(), counts.results)]
        if data[0] == data[1] and _question(flat(read_config(folder.config)), variant) == asked:
            yield folder


def _question(content: dict[str, object], variant: str) -> dict[str, str]:
    """What decides the labels of a variant, beside the network."""
    keys = (*_QUESTION, f"variants.{variant}.")
    return {key: repr(value) for key, value in content.items() if f"{key}.".startswith(keys) and value != {}}
