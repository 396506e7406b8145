"""From the values or colours in a mask's file to labels. What is ambiguous is an error that names the file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from src.data.classes import Classes, Colour, Labels, Pixels, label_type
from src.data.files.decoding import FileInputError
from src.data.files.stored import Stored, read_stored

VALUES = 2**16  # a mask holds values from 0 to VALUES - 1
_SHOWN = 12  # values or colours in a message
_UNKNOWN = -1
_NONE = 254  # in bytes


@dataclass(frozen=True)
class Labelling:
    """What the pixels of masks mean.

    Attributes:
        classes: of the labels.
        void: the value, or with `by_colour` the colour, of pixels without a class; None: there are none.
        mapping: value to label, or to `classes.void`; if there is any, other values than these and `void` stand for
            nothing, else values are the labels. With `by_colour`: colours beside those of the classes.
        by_colour: pixels hold the colours of classes, not labels.
        stated: whether the colours of the classes are the config's own, and so those of palettes, too.
    """

    classes: Classes
    void: int | Colour | None
    mapping: Mapping[int | Colour, int]
    by_colour: bool = False
    stated: bool = False

    def read(self, path: Path) -> Labels:
        """The labels of a mask: (H, W), each below C or `void_label`; uint8, or int32 if 255 is a class.

        Raises:
            InputError: the file is missing or damaged, has a lossy format, several pages or channels, or a value or
                colour that stands for nothing; or its palette shows that its labels are in another order.
        """
        stored = read_stored(path)
        if self.by_colour:
            return self._of_colours(stored, path)
        if stored.pixels.ndim == 3:
            raise self._coloured(stored, path)
        labels = self.of_values(stored.pixels, path)
        if self.stated and stored.palette:
            self._check_palette(stored, path)
        return labels

    def of_values(self, values: NDArray[Any], path: Path) -> Labels:
        """Labels (H, W) from the values of a file, (H, W) integers; `path` is for the message."""
        if values.ndim != 2 or values.dtype.kind not in "biu":
            what = f"{values.shape[2]} channels" if values.ndim == 3 else f"{values.dtype} values"
            raise FileInputError(f"{path} has {what}, but a mask has one whole number per pixel.", kind=_NOT_A_MASK)
        if values.dtype != np.uint8 and values.size and (int(values.max()) >= VALUES or int(values.min()) < 0):
            raise FileInputError(f"{path} has values outside 0..{VALUES - 1}; save it with 16 bits.", kind=_NOT_A_MASK)
        is_small = values.dtype == np.uint8 and len(self.classes) <= _NONE
        if is_small and (labels := self._of_bytes(values)) is not None:
            return labels
        found = self.table[values.astype(np.intp) if values.dtype == bool else values]
        if values.size and int(found.min()) == _UNKNOWN:
            raise self._unknown(np.unique(values[found == _UNKNOWN]), np.unique(values), path)
        return np.asarray(found.astype(label_type(len(self.classes)), copy=False))

    def _of_bytes(self, values: Pixels) -> Pixels | None:
        """Labels of values of 8 bits, several times as fast as by `table`; None if a value stands for nothing."""
        if self._bytes is None:  # each value stands for itself
            strange = values >= len(self.classes)
            if self.void is not None:
                strange &= values != self.void
            return None if strange.any() else values
        labels = np.frombuffer(bytearray(values.tobytes().translate(self._bytes)), np.uint8).reshape(values.shape)
        return None if (labels == _NONE).any() else labels

    @cached_property
    def _bytes(self) -> bytes | None:
        """The label of each value of 8 bits, or `_NONE`; None if they are the values themselves."""
        table = self.table[:256]
        known = table != _UNKNOWN
        if (table[known] == known.nonzero()[0]).all():
            return None
        return np.where(known, table, _NONE).astype(np.uint8).tobytes()

    @cached_property
    def _first(self) -> tuple[int, ...]:
        return tuple(self.table[:256].tolist())

    @cached_property
    def table(self) -> NDArray[np.int32]:
        """(VALUES,) label of each value; -1: the value stands for nothing."""
        table = np.full(VALUES, _UNKNOWN, dtype=np.int32)
        if not self.mapping:
            table[: len(self.classes)] = np.arange(len(self.classes))
        if isinstance(self.void, int):
            table[self.void] = self.classes.void
        for value, label in self.mapping.items():
            table[value] = label
        return table

    @cached_property
    def _of_code(self) -> NDArray[np.int32]:
        """(2^24,) 1 + label of each colour; 0: it stands for nothing. Only the pages that are used take memory."""
        owners = {code_of(colour): label for label, colour in enumerate(self.classes.colours)}
        owners |= {code_of(pixel): label for pixel, label in self.mapping.items() if isinstance(pixel, tuple)}
        if isinstance(self.void, tuple):
            owners[code_of(self.void)] = self.classes.void
        table = np.zeros(2**24, dtype=np.int32)
        table[[*owners]] = [label + 1 for label in owners.values()]
        return table

    def _of_colours(self, stored: Stored, path: Path) -> Labels:
        pixels = stored.colours(path)
        codes = codes_of(pixels)
        found = self._of_code[codes] - 1
        if (strange := found == _UNKNOWN).any():
            shares = _shares(codes[strange], codes.size)
            raise FileInputError(
                f"{path} has colours of no class: {shares}; give them in data.classes, data.label_mapping or as "
                "data.void (a picture that was resized or compressed has mixed colours: take the original)",
                kind="with colours of no class",
                detail=shares,
            )
        return np.asarray(found.astype(label_type(len(self.classes))))

    def _coloured(self, stored: Stored, path: Path) -> FileInputError:
        pixels = stored.colours(path)
        codes = codes_of(pixels)
        found, counts = np.unique(codes, return_counts=True)
        order = np.argsort(-counts)[:_SHOWN]
        if self.stated:
            way_out = "if these are the colours in data.classes, add data.colours=exact"
        else:
            names = {f"class{k}": list(colour_of(int(found[place]))) for k, place in enumerate(order)}
            listed = ", ".join(f"{name}: {colour}" for name, colour in names.items())
            way_out = (
                f"name them in the config of the data, with `colours: exact` and `void: null`: `classes: {{{listed}}}`"
            )
        return FileInputError(
            f"{path} has colours, not labels: {_shares(codes, codes.size)}; {way_out}",
            kind="whose pixels are colours",
            detail=f"{len(found)} colours",
            advice=f"the first has {_shares(codes, codes.size)}; {way_out}",
        )

    def _unknown(self, strange: NDArray[Any], all_values: NDArray[Any], path: Path) -> FileInputError:
        """The error for values that stand for nothing, with a guess at what they are."""
        size, names = len(self.classes), self.classes.names
        void = f" and {self.void} (void)" if isinstance(self.void, int) else ""
        allowed = (f"those of data.label_mapping{void}" if self.mapping else f"0..{size - 1}{void}").strip()
        listed = ", ".join(map(str, strange[:_SHOWN].tolist())) + (", ..." if len(strange) > _SHOWN else "")
        if size == 2 and set(all_values.tolist()) <= {0, 255} and not self.mapping:
            way_out = (
                f"if 255 is the second class, write into the config of the data `label_mapping: {{0: {names[0]}, 255: "
                f"{names[1]}}}` and `void: null`"
            )
        elif strange.tolist() == [size] and int(all_values.min()) > 0 and not self.mapping:
            way_out = (
                "if the first class has the value 1, write into the config of the data "
                f"`label_mapping: {{1: {names[0]}, 2: {names[1]}{', ...' * (size > 2)}}}`"
            )
        else:
            way_out = f"say what they are in the config of the data, `label_mapping: {{{int(strange[0])}: void}}`"
            way_out += "" if self.mapping else ", and all other values, too"
        return FileInputError(
            f"{path} has labels {listed}, allowed are {allowed}; {way_out}",
            kind=f"with other labels than {allowed.removesuffix(' (void)')}",
            detail=", ".join(map(str, strange[:3].tolist())),
            advice=way_out,
        )

    def _check_palette(self, stored: Stored, path: Path) -> None:
        """Raise if the palette gives a value of the mask the colour of another class than its own."""
        void = self.void if isinstance(self.void, int) else None
        suspects = _misplaced(stored.palette, self.classes.colours, self._first, void)
        if not suspects:
            return
        used = np.bincount(stored.pixels.ravel(), minlength=256).nonzero()[0].tolist()
        for value in used:
            if value in suspects and value not in self.mapping:  # what the config says of a value counts
                other = suspects[value]
                name = "void" if other == void else self.classes.names[other]
                raise FileInputError(
                    f"{path}: its palette gives label {value} the colour of {name}, which is {other}, so a "
                    "program has sorted the palette anew; to read the colours instead: data.colours=exact, with the "
                    "colour of void as data.void; or save the mask without palette if its labels are right",
                    kind="whose palette gives a label another one's colour",
                    detail=f"{value} is coloured as {name}",
                )


_NOT_A_MASK = "not single-channel masks of whole numbers"


@cache
def _misplaced(
    palette: bytes, colours: tuple[Colour, ...], labels: tuple[int, ...], void: int | None
) -> dict[int, int]:
    """Values to the class whose colour the palette gives them, where this is not their own class.

    The colour of void is the one that the palette itself has at its value. Black is no evidence: it fills the rest of
    palettes that have nothing to do with the classes. Nor is a colour that two classes share.
    """
    entries = [palette[k : k + 3] for k in range(0, len(palette) - 2, 3)]
    alone = {colour for colour, count in Counter(colours).items() if count == 1 and any(colour)}
    owners = {bytes(colour): (label, label) for label, colour in enumerate(colours) if colour in alone}
    if void is not None and void < len(entries) and any(entries[void]):
        owners.setdefault(entries[void], (void, labels[void]))
    found = ((value, owners.get(entry)) for value, entry in enumerate(entries))
    return {value: owner[0] for value, owner in found if owner is not None and owner[1] != labels[value]}


def codes_of(pixels: Pixels) -> NDArray[np.int32]:
    """(H, W) the colours (H, W, 3) as numbers below 2^24."""
    red, green, blue = np.moveaxis(pixels, -1, 0).astype(np.int32)
    return np.asarray((red << 16) | (green << 8) | blue)


def code_of(colour: Colour) -> int:
    """A colour as a number below 2^24."""
    return (colour[0] << 16) + (colour[1] << 8) + colour[2]


def colour_of(code: int) -> Colour:
    """The colour that a number stands for, see `codes_of`."""
    return code >> 16, code >> 8 & 255, code & 255


def _shares(codes: NDArray[Any], pixels: int) -> str:
    """'[0, 0, 0] 71.2 %, [128, 0, 0] 3.1 %': the most frequent colours, as shares of all pixels."""
    found, counts = np.unique(codes, return_counts=True)
    order = np.argsort(-counts)
    shown = [f"{[*colour_of(int(found[k]))]} {100 * counts[k] / pixels:.1f} %" for k in order[:_SHOWN]]
    return ", ".join([*shown, *([f"{len(found) - _SHOWN} more"] if len(found) > _SHOWN else [])])
