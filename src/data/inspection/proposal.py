"""A config for a folder of images and a folder of masks: proposed from what lies there, with reasons."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.progress import track

from src.core.compose import completed
from src.core.errors import InputError
from src.core.files.whole import replacing
from src.data.classes import MOST, Colour
from src.data.config import check_data
from src.data.files.decoding import image_size, largest_value
from src.data.files.patterns import Patterns
from src.data.files.splits import place
from src.data.files.stored import Stored, read_stored
from src.data.inspection.pairing import Pairing, pair

_LOOKED_AT = 300  # masks, spread evenly
_RARE = 5e-4  # share of pixels below which a colour is no class but the trace of a resize
_COMMON = 0.9  # share of the masks in which the background is
_VAL = 0.2  # share of the images
_GROUP = r"(.+)[_-][^_-]*"  # what many call several images of one thing: patient7_slice3


@dataclass
class _Seen:
    """What the masks hold: pixels and masks per value or colour, and the palette of the first mask that has one."""

    pixels: dict[int, int] = field(default_factory=dict)
    masks: dict[int, int] = field(default_factory=dict)
    looked_at: int = 0
    coloured: int = 0
    palette: bytes = b""

    def add(self, stored: Stored, path: Path) -> None:
        """Count a mask."""
        self.looked_at += 1
        if stored.pixels.ndim == 3:
            self.coloured += 1
            codes: NDArray[Any] = stored.colours(path).astype(np.int64) @ np.array([65536, 256, 1])
        else:
            codes = stored.pixels.astype(np.int64)
            self.palette = self.palette or stored.palette
        for code, count in zip(*np.unique(codes, return_counts=True), strict=True):
            self.pixels[int(code)] = self.pixels.get(int(code), 0) + int(count)
            self.masks[int(code)] = self.masks.get(int(code), 0) + 1


def propose(images: Path, masks: Path, beside: Path) -> str:
    """The text of a config, with a comment for each guess.

    Args:
        images: folder of the images.
        masks: folder of the masks.
        beside: folder in which the config will lie; `root` is relative to it.

    Raises:
        InputError: as `pair`; a mask cannot be read; some masks hold colours and others values; or there are more
            values or colours than classes can be.
    """
    paired = pair(images, masks)
    seen = _Seen()
    step = max(1, len(paired.pairs) // _LOOKED_AT)
    console = Console(stderr=True, markup=False, emoji=False)
    for _, path in track(paired.pairs[::step], description="looking at masks", console=console, transient=True):
        seen.add(read_stored(path), path)
    if 0 < seen.coloured < seen.looked_at:
        raise InputError(
            f"{masks}: {seen.coloured} of {seen.looked_at} masks hold colours, the others values; give them one form."
        )
    lines = [
        "# Proposed by python -m src.check from what lies in the folders; correct what it guessed wrongly.",
        f"# The images are {_sizes([image for image, _ in paired.pairs[::step]])}.",
        f"root: {_text(os.path.relpath(paired.root, beside.resolve()))}",
        f"images: {_listed(paired.images)}  # {paired.reason}",
        f"masks: {_listed(paired.masks)}",
    ]
    lines += _of_colours(seen, masks) if seen.coloured else _of_values(seen, masks)
    lines += _of_depth(paired)
    if any(paired.alone):
        lines.append(f"unpaired: ignore  # {paired.alone[0]} images have no mask, {paired.alone[1]} masks no image")
    return "\n".join([*lines, *_of_splits(paired)]) + "\n"


def data_config(config: DictConfig, console: Console) -> DictConfig:
    """The group `data` for the folders that a config of `src.check` names; prints it, or writes it to a new file.

    Raises:
        InputError: as `propose`, or the file exists.
    """
    path = Path(config.write or "my.yaml")
    if config.write is not None and path.exists():
        raise InputError(f"write={path}: exists already; give another name, or check it with data={path}.")
    text = propose(Path(config.images), Path(config.masks), path.parent)
    if config.write is None:
        console.print(text, soft_wrap=True, highlight=False)
    else:
        with replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
        console.print(f"wrote {path}; give the classes their names there, then use data={path}", soft_wrap=True)
    content = OmegaConf.to_container(OmegaConf.create(text))
    assert isinstance(content, dict)
    found = OmegaConf.create(completed("data", {str(key): value for key, value in content.items()}, path))
    check_data(found)
    return found


def _sizes(images: list[Path]) -> str:
    """'500 px wide and 281 to 375 px high'."""
    sizes = np.array([image_size(path) for path in images])
    ends = zip(sizes.min(0).tolist(), sizes.max(0).tolist(), strict=True)
    width, height = (f"{least}" if least == most else f"{least} to {most}" for least, most in ends)
    return f"{width} px wide and {height} px high"


def _of_colours(seen: _Seen, masks: Path) -> list[str]:
    total = sum(seen.pixels.values())
    frequent = {code: count for code, count in seen.pixels.items() if count > _RARE * total or seen.masks[code] > 2}
    if len(frequent) > MOST or len(seen.pixels) > 4 * len(frequent) + 16:
        raise InputError(
            f"{masks}: the masks have {len(seen.pixels):,} colours, so they are photos, or were resized or compressed "
            "after they were drawn; take the original masks."
        )
    order = sorted(frequent, key=lambda code: -frequent[code])
    background = _background(seen, order)
    names = {code: "background" if code == background else f"class{k}" for k, code in enumerate(order)}
    lines = [f"classes:  # {len(order)} colours in {seen.looked_at} masks; give them their names"]
    lines += [
        f"  {names[code]}: {[*_colour(code)]}  # {100 * frequent[code] / total:.2f} % of the pixels" for code in order
    ]
    lines += [
        "colours: exact  # the pixels of the masks are colours",
        "void: null  # if a colour is no class, give it here",
    ]
    if stray := len(seen.pixels) - len(frequent):
        lines.append(f"# {stray} rare colours are left out; python -m src.check data=THIS says in which masks they are")
    return [*lines, *_background_line(names, background)]


def _of_values(seen: _Seen, masks: Path) -> list[str]:
    total = sum(seen.pixels.values())
    values = sorted(seen.pixels)
    if values[-1] >= 2**16 or values[0] < 0 or len(values) > MOST:
        raise InputError(f"{masks}: the masks have {len(values):,} values up to {values[-1]}, so they are no labels.")
    void = 255 if 255 in values and values != [0, 255] and len(values) > 2 else None
    labels = [value for value in values if value != void]
    if len(labels) < 2:
        raise InputError(f"{masks}: the masks have only the value {labels[0]}, so there is nothing to learn.")
    background = _background(seen, labels)
    names = {value: "background" if value == background else f"class{value}" for value in labels}
    known = len(seen.palette) // 3
    if seen.palette and labels[-1] < known and len({seen.palette[3 * v : 3 * v + 3] for v in labels}) == len(labels):
        lines = [
            f"classes:  # {len(labels)} values in {seen.looked_at} masks, colours of their palette; give them names"
        ]
        entries = {value: [*seen.palette[3 * value : 3 * value + 3]] for value in labels}
        lines += [f"  {names[v]}: {entries[v]}  # {100 * seen.pixels[v] / total:.2f} % of the pixels" for v in labels]
    else:
        lines = [f"classes:  # {len(labels)} values in {seen.looked_at} masks; give them their names"]
        lines += [f"  - {names[v]}  # value {v}, {100 * seen.pixels[v] / total:.2f} % of the pixels" for v in labels]
    if labels != [*range(len(labels))]:
        mapping = ", ".join(f"{value}: {names[value]}" for value in labels)
        lines.append(f"label_mapping: {{{mapping}}}  # the values are not 0, 1, 2, ...")
    reason = "255 is the usual value, and it is not the next label" if void else "each value is a class"
    return [*lines, f"void: {'null' if void is None else void}  # {reason}", *_background_line(names, background)]


def _background(seen: _Seen, labels: list[int]) -> int | None:
    """The value with most pixels, if it is in nearly all masks."""
    candidate = max(labels, key=lambda label: seen.pixels[label])
    return candidate if seen.masks[candidate] >= _COMMON * seen.looked_at else None


def _background_line(names: Mapping[int, str], background: int | None) -> list[str]:
    if background is None:
        return ["background: null  # no value is in nearly all masks and the most frequent one"]
    return [f"background: {names[background]}  # in nearly all masks, and the most frequent one; null if it is a class"]


def _of_depth(paired: Pairing) -> list[str]:
    looked_at = [image for image, _ in paired.pairs[:: max(1, len(paired.pairs) // 20)]]
    largest = max(map(largest_value, looked_at))
    if largest <= 255:
        return []
    white = next(white for white in (1023, 4095, 16383, 65535) if largest <= white)
    return [f"white: {white}  # images of more than 8 bits; the largest value in {len(looked_at)} of them is {largest}"]


def _of_splits(paired: Pairing) -> list[str]:
    """Folders called train and val, or else a share that is drawn."""
    parts_of = {path.resolve().relative_to(paired.root).parts for path, _ in paired.pairs}
    for level in (1, 0):
        folders = {parts[level] for parts in parts_of if len(parts) > level + 1}
        val = next((name for name in ("val", "valid", "validation", "test") if name in folders), None)
        train = next((name for name in ("train", "training") if name in folders), None)
        if train and val:
            return [f"train: {train}/*  # by the folders' names", f"val: {val}/*"]
    ids = list(Patterns(paired.root, paired.images, key="data.images").found)
    groups = {match.group(1) for image in ids if (match := re.match(_GROUP, image))}
    found = []
    if 2 <= len(groups) <= len(ids) / 2:
        found.append(
            f"# group: '{_GROUP}'  # {len(groups)} groups by their names: do their images show the same thing?"
        )
    if 0 < sum(place(image) < _VAL for image in ids) < len(ids):
        drawn = "drawn by a hash of the id, so that new images move none; all others are trained on"
        return [*found, f"val: {100 * _VAL:g} %  # {drawn}"]
    fifth = json.dumps(ids[:: round(1 / _VAL)], ensure_ascii=False)
    return [*found, f"val: {fifth}  # each fifth: there are few images; all others are trained on"]


def _colour(code: int) -> Colour:
    return code >> 16, code >> 8 & 255, code & 255


def _listed(patterns: tuple[str, ...]) -> str:
    return _text(patterns[0]) if len(patterns) == 1 else f"[{', '.join(map(_text, patterns))}]"


def _text(text: str) -> str:
    """A text as YAML reads it: in JSON's quotes if it begins with a sign that means something."""
    return text if text[:1].isalnum() and not set(text) & set(":#,[]{}'\"") else json.dumps(text, ensure_ascii=False)
