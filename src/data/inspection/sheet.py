"""A contact sheet: some images of a data set beside their masks in colour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from src.core.errors import InputError
from src.core.files.whole import replacing
from src.data.classes import Classes, Labels, Pixels
from src.data.files.folder import ImageFolder
from src.data.inspection.overlay import LINE, Legend, overlay

SHOWN = 12  # images
_COLUMNS = 3
_SIZE = 230, 170  # px of a picture, at most
_GAP = 8


def draw_sheet(folder: ImageFolder, splits: Mapping[str, list[str]], path: Path) -> int:
    """Write the sheet as a WebP file; images that cannot be read are left out.

    Args:
        folder: the data set.
        splits: split to ids; the images are spread evenly over each of them.
        path: of the file.

    Returns:
        The number of images on it; 0: none can be read, and nothing is written.
    """
    shown = [
        (split, ids[k])
        for split, ids in splits.items()
        for k in np.linspace(0, len(ids) - 1, min(len(ids), SHOWN // len(splits))).round().astype(int)
    ]
    cells = []
    for split, image_id in shown:
        try:
            cells.append((f"{split}: {image_id}", *folder.read_pair(image_id)))
        except InputError:
            continue
    if cells:
        with replacing(path) as temporary:
            composed(cells, folder.classes, columns=_COLUMNS, size=_SIZE).save(temporary, format="WEBP", quality=85)
    return len(cells)


def composed(
    cells: Sequence[tuple[str, Pixels, Labels]], classes: Classes, *, columns: int, size: tuple[int, int]
) -> Image.Image:
    """Images beside their masks in colour, with a legend below.

    Args:
        cells: at least one title, image (H, W, 3) and mask (H, W).
        classes: of the masks.
        columns: cells in a line, at most.
        size: width and height in px of an image, at most.
    """
    largest, tallest = size
    font = ImageFont.load_default(13)
    cell = 2 * largest + 2 * _GAP
    width = min(columns, len(cells)) * (cell + _GAP) + _GAP
    lines = -(-len(cells) // columns)
    present = sorted({int(v) for _, _, mask in cells for v in np.unique(mask)})
    legend = Legend(present, classes, width, font, gap=_GAP)
    top = lines * (LINE + tallest + _GAP) + _GAP
    canvas = Image.new("RGB", (width, top + legend.height + _GAP), "white")
    draw = ImageDraw.Draw(canvas)
    for number, (title, rgb, mask) in enumerate(cells):
        line, column = divmod(number, columns)
        x, y = _GAP + column * (cell + _GAP), _GAP + line * (LINE + tallest + _GAP)
        draw.text((x, y), _fitting(title, cell, font), fill="black", font=font)
        scale = min(largest / rgb.shape[1], tallest / rgb.shape[0])
        drawn = max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale))
        for k, pixels in enumerate((rgb, overlay(rgb, mask, classes))):
            picture = Image.fromarray(pixels).resize(drawn, Image.Resampling.BOX)
            canvas.paste(picture, (x + k * (drawn[0] + _GAP), y + LINE))
    legend.draw(draw, top)
    return canvas


def _fitting(text: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """The text, cut at its beginning if it is wider than `width` px."""
    while font.getlength(text) > width and len(text) > 4:
        text = "..." + text[4:]
    return text
