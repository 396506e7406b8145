"""Labels drawn over an image, and a legend of their colours."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from PIL import ImageDraw, ImageFont

from src.data.classes import Classes, Labels, Pixels

LINE = 20  # px, height of a line of text
_OPACITY = 0.7
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def overlay(rgb: Pixels, labels: Labels, classes: Classes) -> Pixels:
    """(H, W, 3): the image in grey with the classes' colours over it; background stays grey, void is white.

    Args:
        rgb: (H, W, 3).
        labels: (H, W), labels or void.
        classes: of the labels.
    """
    red, green, blue = np.moveaxis(rgb.astype(np.float32), -1, 0)
    grey = (red + green + blue)[..., None] / 3
    share = np.full((len(classes), 1), _OPACITY, dtype=np.float32)
    if classes.background is not None:
        share[classes.background] = 0
    void = labels == classes.void
    known = np.where(void, 0, labels)
    mixed = (share * classes.palette).astype(np.float32)[known] + (1 - share)[known] * grey
    mixed[void] = 255
    picture: Pixels = mixed.astype(np.uint8)
    return picture


class Legend:
    """The colours and names of some classes, in as many lines as they need.

    Args:
        labels: to show; the background is left out, as it is not coloured.
        classes: of the labels.
        width: px.
        font: of the names.
        gap: px at the left end.
    """

    def __init__(self, labels: Iterable[int], classes: Classes, width: int, font: Font, *, gap: int) -> None:
        self.classes = classes
        self.font = font
        self.places: list[tuple[int, int, int]] = []  # label, x, line
        x, line = gap, 0
        for label in labels:
            if label == classes.background:
                continue
            needed = 30 + int(font.getlength(classes.names[label]))
            if x + needed > width and x > gap:
                x, line = gap, line + 1
            self.places.append((label, x, line))
            x += needed
        self.height = (line + 1) * LINE

    def draw(self, draw: ImageDraw.ImageDraw, top: int) -> None:
        """Draw it below `top` px."""
        for label, x, line in self.places:
            y = top + line * LINE
            draw.rectangle((x, y + 2, x + 12, y + 14), fill=self.classes.colours[label], outline="grey")
            draw.text((x + 17, y), self.classes.names[label], fill="black", font=self.font)
