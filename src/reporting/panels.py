"""Pictures of one image: the image, the truth, the labels of each variant, and their errors."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from src.data.classes import VOID, voc_palette

Pixels = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.integer]
_WIDTH = 250  # px of one picture
_GAP = 6
_TITLE = 20
_RIGHT = np.array([222, 226, 230], dtype=np.uint8)
_WRONG = np.array([204, 37, 41], dtype=np.uint8)
_VOID = np.array([255, 255, 255], dtype=np.uint8)


def panel(rgb: Pixels, target: Labels, labels: Mapping[str, Labels], classes: tuple[str, ...]) -> Image.Image:
    """Two rows: image and predictions; truth and, below each prediction, its errors.

    Args:
        rgb: (H, W, 3).
        target: (H, W), 255 is void.
        labels: variant to (H, W).
        classes: names, for the legend.

    Returns:
        RGB picture. Void is white, errors are red, correct pixels are grey.
    """
    known = target != VOID
    columns = [("image", rgb, "truth", overlay(rgb, target))]
    for name, prediction in labels.items():
        wrong = (prediction != target) & known
        share = 100 * wrong.sum() / max(1, known.sum())
        columns.append(
            (name.replace("_", " "), overlay(rgb, prediction), f"{share:.1f} % wrong", error_map(prediction, target))
        )
    seen = sorted(
        ({int(v) for v in np.unique(target)} | {int(v) for p in labels.values() for v in np.unique(p)}) - {VOID}
    )
    return _compose(columns, seen, classes)


def overlay(rgb: Pixels, labels: Labels) -> Pixels:
    """(H, W, 3): the image in grey with the classes' colours over it; background stays grey, void is white."""
    red, green, blue = np.moveaxis(rgb.astype(np.float32), -1, 0)
    grey = (red + green + blue)[..., None] / 3
    share = np.float32(0.7) * (np.arange(256) != 0)
    weighted = share[:, None] * voc_palette()
    mixed = weighted.astype(np.float32)[labels] + (1 - share)[labels][..., None] * grey
    mixed[labels == VOID] = 255
    picture: Pixels = mixed.astype(np.uint8)
    return picture


def error_map(labels: Labels, target: Labels) -> Pixels:
    """(H, W, 3): red where labelled pixels differ, grey where they agree, white where the truth is void."""
    kind = np.where(target == VOID, 2, labels != target)
    picture: Pixels = np.stack([_RIGHT, _WRONG, _VOID])[kind]
    return picture


def _compose(columns: list[tuple[str, Pixels, str, Pixels]], seen: list[int], classes: tuple[str, ...]) -> Image.Image:
    height = round(_WIDTH * columns[0][1].shape[0] / columns[0][1].shape[1])
    font = ImageFont.load_default(13)
    width = _GAP + len(columns) * (_WIDTH + _GAP)
    legend, lines = _legend([label for label in seen if label], classes, width, font)
    top = 2 * (_TITLE + height + _GAP) + _GAP
    canvas = Image.new("RGB", (width, top + lines * _TITLE), "white")
    draw = ImageDraw.Draw(canvas)
    for column, (upper_title, upper, lower_title, lower) in enumerate(columns):
        x = _GAP + column * (_WIDTH + _GAP)
        for row, (title, pixels) in enumerate([(upper_title, upper), (lower_title, lower)]):
            y = row * (_TITLE + height + _GAP)
            draw.text((x, y + 3), title, fill="black", font=font)
            canvas.paste(Image.fromarray(pixels).resize((_WIDTH, height), Image.Resampling.BILINEAR), (x, y + _TITLE))
    for label, x, line in legend:
        y = top + line * _TITLE
        draw.rectangle((x, y + 2, x + 12, y + 14), fill=tuple(int(v) for v in voc_palette()[label]))
        draw.text((x + 17, y), classes[label], fill="black", font=font)
    return canvas


def _legend(
    labels: list[int], classes: tuple[str, ...], width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont
) -> tuple[list[tuple[int, int, int]], int]:
    """Position of each label, (label, x, line), and the number of lines."""
    found, x, line = [], _GAP, 0
    for label in labels:
        needed = 30 + int(font.getlength(classes[label]))
        if x + needed > width and x > _GAP:
            x, line = _GAP, line + 1
        found.append((label, x, line))
        x += needed
    return found, line + 1
