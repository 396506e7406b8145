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
    """(H, W, 3): the image in grey with the classes' colours over it; background stays grey, void is hatched.

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
    mixed[void] = hatched(*void.shape)[void]
    picture: Pixels = mixed.astype(np.uint8)
    return picture


def hatched(height: int, width: int) -> Pixels:
    """(height, width, 3): white with thin grey stripes, as void is drawn."""
    stripe = (np.arange(height)[:, None] + np.arange(width)) % 8 < 2
    return np.where(stripe[..., None], 190, 255).repeat(3, -1).astype(np.uint8)


class Legend:
    """The colours and names of some classes, in as many lines as they need.

    Args:
        labels: to show, perhaps with void; the background is left out, as it is not coloured.
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
            needed = 30 + int(font.getlength(self._name(label)))
            if x + needed > width and x > gap:
                x, line = gap, line + 1
            self.places.append((label, x, line))
            x += needed
        self.height = (line + 1) * LINE

    def draw(self, draw: ImageDraw.ImageDraw, top: int) -> None:
        """Draw it below `top` px."""
        for label, x, line in self.places:
            y = top + line * LINE
            is_void = label == self.classes.void
            fill = "white" if is_void else self.classes.colours[label]
            draw.rectangle((x, y + 2, x + 12, y + 14), fill=fill, outline="grey")
            if is_void:
                draw.line((x, y + 14, x + 12, y + 2), fill="grey", width=2)
            draw.text((x + 17, y), self._name(label), fill="black", font=self.font)

    def _name(self, label: int) -> str:
        return "void" if label == self.classes.void else self.classes.names[label]
