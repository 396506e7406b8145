"""An image that somebody hands to the page: read within bounds, which are checked before its pixels are decoded."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from src.core.errors import InputError, printable
from src.data.classes import Labels, Pixels
from src.data.files.decoding import FileInputError, opened, read_bytes
from src.data.files.photos import photo_of

SHORTEST = 8  # px of a side; in less there is nothing to see
LONGEST = 10_000  # px of a side
LARGEST = 40_000_000  # px
_LABELLED = 4096  # px of the longer side of what is labelled, as browsers draw it


@dataclass(frozen=True, eq=False)
class Picture:
    """An image on the page; equal only to itself.

    Attributes:
        name: without folders.
        rgb: (H, W, 3) uint8.
        truth: (H, W) labels or void, if there is one.
        notes: what was done to the pixels, in words.
    """

    name: str
    rgb: Pixels
    truth: Labels | None = None
    notes: tuple[str, ...] = field(default=())


def read_upload(path: Path, *, limit: int, pixels: int, white: int | None) -> Picture:
    """The image of an uploaded file, as `src.predict` reads it; a larger one is scaled down, and a note says so.

    Args:
        path: of the file. Its name may be any that a stranger gave.
        limit: bytes.
        pixels: the most that are labelled.
        white: the value of white in images of more than 8 bits.

    Raises:
        InputError: the file is too long, or no image, or damaged, or of an impossible size.
    """
    name = printable(path.name)[-100:]
    try:
        return _read(path, name, limit=limit, pixels=pixels, white=white)
    except FileInputError as error:  # its way out is for a file of a data set
        what = str(error).rpartition("; ")[0] or str(error)
        raise InputError(f"{what}; take another picture, as JPEG or as PNG with 8 bits.") from error


def _read(path: Path, name: str, *, limit: int, pixels: int, white: int | None) -> Picture:
    data = read_bytes(path, limit=limit)
    with opened(data, Path(name)) as image:  # the header alone
        width, height = image.size
    if min(width, height) < SHORTEST:
        raise InputError(f"{name} is {width} x {height} px; a picture here has at least {SHORTEST} px a side.")
    if max(width, height) > LONGEST or width * height > LARGEST:
        raise InputError(
            f"{name} is {width:,} x {height:,} px; a picture here has at most {LONGEST:,} px a side and "
            f"{LARGEST / 1e6:.0f} million px. Scale it down, or use python -m src.predict."
        )
    rgb, notes = photo_of(data, Path(name), white=white)
    return Picture(name, *_fitting(rgb, notes, pixels))


def _fitting(rgb: Pixels, notes: list[str], pixels: int) -> tuple[Pixels, None, tuple[str, ...]]:
    height, width = rgb.shape[:2]
    factor = min(1.0, (pixels / (height * width)) ** 0.5, _LABELLED / max(height, width))
    if factor == 1:
        return rgb, None, tuple(notes)
    size = (max(1, int(width * factor)), max(1, int(height * factor)))
    smaller = np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.BOX))
    note = (
        f"scaled down from {width} x {height} to {size[0]} x {size[1]} px, so that it answers at once; "
        "python -m src.predict labels it at its own size"
    )
    return smaller, None, (*notes, note)
