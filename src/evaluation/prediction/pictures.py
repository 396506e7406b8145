"""Pictures of labels: a PNG whose values are the labels and whose palette holds the colours; an overlay with legend."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from src.data.classes import Classes, Labels, Pixels
from src.data.inspection.overlay import Legend, overlay

LONGEST = 1600  # px of an overlay's longer side; WebP ends at 16,383
_NARROWEST = 240  # px, for a legend that can be read
_GAP = 6
_LEGEND = 40  # classes; more would take more room than the frame
_COLOURS = 256  # of a palette


def label_picture(labels: Labels, classes: Classes) -> Image.Image:
    """Labels (H, W) as a palette picture; more classes than a palette has colours give 16-bit grey."""
    if len(classes) > _COLOURS:
        return Image.fromarray(labels.astype(np.uint16))
    picture = Image.fromarray(labels.astype(np.uint8))
    picture.putpalette(classes.palette.tobytes())
    return picture


def overlay_picture(rgb: Pixels, labels: Labels, classes: Classes) -> Image.Image:
    """The image in grey under the classes' colours, above a legend of its classes.

    A large image is scaled down to `LONGEST` px, a tiny one is enlarged.

    Args:
        rgb: (H, W, 3).
        labels: (H, W).
        classes: of the labels.
    """
    seen = np.flatnonzero(np.bincount(labels.ravel(), minlength=len(classes)))
    picture = blended(rgb, labels, classes, longest=LONGEST)
    if (larger := min(-(-_NARROWEST // picture.width), LONGEST // max(picture.size))) > 1:
        picture = picture.resize((larger * picture.width, larger * picture.height), Image.Resampling.NEAREST)
    font = ImageFont.load_default(13)
    width = max(picture.width, _NARROWEST)
    legend = Legend([int(label) for label in seen], classes, width, font, gap=_GAP)
    canvas = Image.new("RGB", (width, picture.height + _GAP + legend.height), "white")
    canvas.paste(picture, (0, 0))
    legend.draw(ImageDraw.Draw(canvas), picture.height + _GAP)
    return canvas


def frame_picture(rgb: Pixels, labels: Labels, classes: Classes) -> Pixels:
    """The overlay of a video's frame; below it a legend of all classes, so that each frame has the same, even, size."""
    font = ImageFont.load_default(13)
    legend = Legend(range(len(classes)), classes, labels.shape[1], font, gap=_GAP)
    height = labels.shape[0] + (_GAP + legend.height if len(classes) <= _LEGEND else 0)
    canvas = Image.new("RGB", (labels.shape[1] + labels.shape[1] % 2, height + height % 2), "white")
    canvas.paste(Image.fromarray(overlay(rgb, labels, classes)), (0, 0))
    if len(classes) <= _LEGEND:
        legend.draw(ImageDraw.Draw(canvas), labels.shape[0] + _GAP)
    return np.asarray(canvas)


def blended(rgb: Pixels, labels: Labels, classes: Classes, *, longest: int) -> Image.Image:
    """The overlay alone; a larger image is scaled down first: its colours averaged, its labels picked."""
    height, width = labels.shape
    if (factor := longest / max(height, width)) < 1:
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        rgb = np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.BOX))
        rows, columns = (((np.arange(n) + 0.5) * m / n).astype(int) for n, m in ((size[1], height), (size[0], width)))
        labels = labels[rows[:, None], columns]
    return Image.fromarray(overlay(rgb, labels, classes))


def as_png(picture: Image.Image) -> bytes:
    """The bytes of a PNG file."""
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()
