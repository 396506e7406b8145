"""The classes of a data set. They travel with the data: to network, checkpoint, scores, report. No torch."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from src.core.errors import InputError
from src.core.values import shown

MOST = 1000  # classes
Pixels = NDArray[np.uint8]
Labels = NDArray[np.integer[Any]]
Colour = tuple[int, int, int]

# Okabe and Ito (2008), colours that colour-blind readers can tell apart; beyond them, hues by the golden angle.
_FIRST: tuple[Colour, ...] = (
    *((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66)),
    *((0, 114, 178), (213, 94, 0), (204, 121, 167)),
)
_GOLDEN = 0.6180339887


def void_label(num_classes: int) -> int:
    """The label of pixels without a class, in memory: 255, as usual in the field, or 65535 if 255 is a class."""
    return 255 if num_classes <= 255 else 65535


def label_type(num_classes: int) -> type[np.uint8] | type[np.int32]:
    """The type of masks in memory, which holds every class and `void_label`."""
    return np.uint8 if num_classes <= 255 else np.int32


@dataclass(frozen=True)
class Classes:
    """The C classes of a data set, in the order of their labels 0 to C - 1.

    Attributes:
        names: each once.
        colours: RGB, 0 to 255, for pictures.
        background: the label of the class that is the background, or None.
    """

    names: tuple[str, ...]
    colours: tuple[Colour, ...]
    background: int | None = None

    @classmethod
    def named(cls, names: Sequence[str], *, background: str | None = None) -> Classes:
        """Classes without colours of their own: the background is black, the others get colours far apart."""
        place = None if background is None else names.index(background)
        found = distinct_colours(len(names) - (place is not None))
        if place is not None:
            found.insert(place, (0, 0, 0))
        return cls(tuple(names), tuple(found), place)

    @classmethod
    def stored(cls, content: Mapping[str, Any]) -> Classes:
        """The classes from what `plain` gave."""
        names = tuple(content["names"])
        background = content["background"]
        colours = tuple((int(red), int(green), int(blue)) for red, green, blue in content["colours"])
        return cls(names, colours, None if background is None else names.index(background))

    def plain(self) -> dict[str, Any]:
        """The classes as lists and texts, for files."""
        background = None if self.background is None else self.names[self.background]
        return {"names": [*self.names], "colours": [[*colour] for colour in self.colours], "background": background}

    def __len__(self) -> int:
        return len(self.names)

    @property
    def void(self) -> int:
        """The label of pixels without a class, in memory."""
        return void_label(len(self))

    @cached_property
    def palette(self) -> Pixels:
        """(C, 3) uint8 RGB; row = label."""
        return np.array(self.colours, dtype=np.uint8).reshape(-1, 3)


def distinct_colours(count: int) -> list[Colour]:
    """So many colours, none of them black or grey; the first ones do not depend on how many there are."""
    found = [*_FIRST[:count]]
    for k in range(len(found), count):
        saturation, value = ((0.9, 0.9), (0.55, 0.95), (0.85, 0.6))[k % 3]
        red, green, blue = colorsys.hsv_to_rgb(k * _GOLDEN % 1, saturation, value)
        found.append((round(255 * red), round(255 * green), round(255 * blue)))
    return found


def differing_classes(first: Sequence[str], second: Sequence[str]) -> str:
    """How two lists of classes differ, in words; empty if they are the same names in the same order."""
    words = []
    for own, others, whose in ((first, second, "first"), (second, first, "second")):
        if alone := [name for name in own if name not in set(others)]:
            shown = ", ".join(alone[:10]) + (f" and {len(alone) - 10} more" if len(alone) > 10 else "")
            words.append(f"only the {whose} has {shown}")
    same = tuple(first) == tuple(second)
    return "" if same else "; ".join(words) or "they have the same classes in another order"


def class_mapping(
    own: Sequence[str], others: Sequence[str], given: Mapping[str, str | None] | None, *, where: str
) -> tuple[int | None, ...]:
    """For each class of a network its label among the classes of a data set; None: it is never predicted.

    Args:
        own: names of the network's classes.
        others: names of the data set's classes.
        given: from names to names, or to None; classes that are not in it keep their name. None: nothing is said, which
            is enough for the same names in another order.
        where: the network and the data, for the message.

    Raises:
        InputError: a name is unknown, or nothing is said of a class that the data set does not have.
    """
    if given is None and set(own) == set(others):
        given = {}  # in another order
    if given is None:
        lost = [name for name in own if name not in others] or own
        example = f"map_classes={{{lost[0]}: {others[0]}, ...}}"
        raise InputError(
            f"{where} have different classes: {differing_classes(own, others)}; say what becomes of each class of the "
            f"first with {example}, where null means that it is never predicted."
        )
    for name, target in given.items():
        if name not in own:
            raise InputError(f"map_classes.{name}: the network has no such class; it has {', '.join(own[:30])}.")
        if target is not None and target not in others:
            raise InputError(
                f"map_classes.{name}={target}: the data has no such class; it has {', '.join(others[:30])}."
            )
    targets = {name: given.get(name, name) for name in own}
    if unsaid := [name for name, target in targets.items() if target is not None and target not in others]:
        raise InputError(f"map_classes: says nothing of {', '.join(unsaid)}; the data has no such class.")
    found = tuple(None if target is None else others.index(target) for target in targets.values())
    if all(label is None for label in found):
        raise InputError("map_classes: leaves out all classes; nothing would be predicted.")
    return found


def read_classes(content: Any, background: Any) -> tuple[Classes, bool]:
    """The classes that a config names, and whether it gives their colours.

    Args:
        content: a list of names, or a mapping from names to [R, G, B].
        background: the name of one of them, or None.

    Raises:
        InputError: the names are no texts, fewer than two or more than `MOST`, two are equal, a colour is no colour, or
            the background is none of them.
    """
    key = "data.classes"
    if not isinstance(content, Mapping | list | tuple):
        raise InputError(
            f"{key}={shown(content)}: must be a list of names, or names with colours: {{road: [128, 64, 128]}}."
        )
    names = [*content]
    if not 2 <= len(names) <= MOST:
        raise InputError(f"{key}: has {len(names)} names, but a data set has from 2 to {MOST} classes.")
    for name in names:
        if not isinstance(name, str) or not name.strip() or not name.isprintable() or len(name) > 100:
            raise InputError(
                f"{key}: {shown(name)} is not a name; give a short text, in quotes if it is a number or yes/no."
            )
        if name == "void":
            raise InputError(f"{key}: void is no class; data.void says which value or colour of the masks it has.")
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(f"{key}: {twice} is there twice.")
    if background is not None and background not in names:
        raise InputError(f"data.background={shown(background)}: is none of data.classes; give one of them, or null.")
    if not isinstance(content, Mapping):
        return Classes.named(names, background=background), False
    colours = [check_colour(f"{key}.{name}", content[name]) for name in names]
    return Classes(tuple(names), tuple(colours), None if background is None else names.index(background)), True


def check_colour(key: str, value: Any) -> Colour:
    """The colour that a config holds; raises InputError unless it is three whole numbers from 0 to 255."""
    is_list = isinstance(value, list | tuple) and len(value) == 3
    if not is_list or not all(isinstance(v, int) and not isinstance(v, bool) and 0 <= v <= 255 for v in value):
        raise InputError(f"{key}={shown(value)}: must be a colour [R, G, B], each a whole number from 0 to 255.")
    red, green, blue = value
    return red, green, blue
