"""What the masks of a folder hold: pixels and masks per value, or per colour."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from src.core.errors import InputError
from src.data.classes import Colour
from src.data.files.labels import code_of, codes_of
from src.data.files.stored import read_stored

_COMMON = 0.9  # share of the masks in which the background is


@dataclass
class Counted:
    """How often values, or colours as numbers, occur: pixel counts, and in how many masks."""

    pixels: dict[int, int] = field(default_factory=dict)
    masks: dict[int, int] = field(default_factory=dict)
    total: int = 0

    def add(self, found: Mapping[int, int]) -> None:
        """Count a mask."""
        for key, count in found.items():
            self.total += count
            self.pixels[key] = self.pixels.get(key, 0) + count
            self.masks[key] = self.masks.get(key, 0) + 1

    def share(self, key: int) -> float:
        """Per cent of all pixels."""
        return 100 * self.pixels[key] / self.total


@dataclass
class Seen:
    """What was found in some masks.

    Attributes:
        looked_at: number of masks.
        values: of masks with one channel.
        colours: of masks with colours, or with a palette.
        coloured: number of masks with colours.
        of_palette: value to its colour in the palettes.
        contradicted: a value whose colour differs from palette to palette; None if there is none.
    """

    looked_at: int = 0
    values: Counted = field(default_factory=Counted)
    colours: Counted = field(default_factory=Counted)
    coloured: int = 0
    of_palette: dict[int, Colour] = field(default_factory=dict)
    contradicted: int | None = None

    @property
    def by_colour(self) -> bool:
        """Whether the colours of the pixels say what they are, not their values."""
        return self.coloured > 0 or self.contradicted is not None

    def background(self, keys: Iterable[int]) -> int | None:
        """Value 0, or black, if it is in nearly all masks."""
        counted = self.colours if self.by_colour else self.values
        return 0 if 0 in keys and counted.masks[0] >= _COMMON * self.looked_at else None


def look(masks: Iterable[Path]) -> Seen:
    """Look at masks.

    Raises:
        InputError: as `read_stored`; or some masks hold colours and others values.
    """
    seen = Seen()
    without_palette = 0
    for path in masks:
        stored = read_stored(path)
        seen.looked_at += 1
        if stored.pixels.ndim == 3:
            seen.coloured += 1
            seen.colours.add(_counts(codes_of(stored.colours(path))))
            continue
        if stored.pixels.dtype.kind not in "biu":
            raise InputError(f"{path} has {stored.pixels.dtype} values, but masks hold whole numbers or colours.")
        found = _counts(stored.pixels)
        seen.values.add(found)
        without_palette += not stored.palette
        entries = {value: stored.palette[3 * value : 3 * value + 3] for value in found} if stored.palette else {}
        for value, entry in entries.items():
            colour: Colour = (entry[0], entry[1], entry[2]) if len(entry) == 3 else (0, 0, 0)
            if seen.of_palette.setdefault(value, colour) != colour:
                seen.contradicted = value
            seen.colours.add({code_of(colour): found[value]})
    if seen.by_colour and without_palette:
        raise InputError(
            f"of {seen.looked_at} masks, {seen.looked_at - without_palette} hold colours, or palettes that contradict "
            f"each other, and {without_palette} hold values; give all masks one form."
        )
    return seen


def _counts(pixels: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> dict[int, int]:
    if pixels.dtype == np.uint8:
        counts = np.bincount(pixels.ravel(), minlength=256)
        return {int(value): int(counts[value]) for value in counts.nonzero()[0]}
    values, found = np.unique(pixels, return_counts=True)
    return {int(value): int(count) for value, count in zip(values, found, strict=True)}
