"""A config for a folder of images and a folder of masks: proposed from what lies there, with reasons."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.progress import track

from src.core.compose import completed
from src.core.errors import InputError
from src.core.files.whole import replacing
from src.core.values import as_dict
from src.data.classes import MOST
from src.data.config import check_data
from src.data.files.decoding import image_size, largest_value
from src.data.files.labels import colour_of
from src.data.files.patterns import BETWEEN
from src.data.files.splits import place
from src.data.inspection.pairing import pair
from src.data.inspection.seen import Seen, look

_LOOKED_AT = 300  # images, spread evenly
_RARE = 0.05  # per cent of pixels below which a colour is no class but the trace of a resize
_FAR = 64  # from 255; labels below are not on the way to it, as 0, 128, 255 are
_TRACE = 0.005  # the same of values
_VAL = 0.2  # share of the images
_GROUP = r"(.+)[_-][^_-]*"  # what many call several images of one thing: patient7_slice3


def propose(images: Path, masks: Path, beside: Path, name: str) -> str:
    """The text of a config, with a comment for each guess.

    Args:
        images: folder of the images.
        masks: folder of the masks.
        beside: folder in which the config will lie; `root` is relative to it.
        name: of the data set, for messages and tables.

    Raises:
        InputError: as `pair` and `look`; or there are more values or colours than classes can be.
    """
    paired = pair(images, masks)
    console = Console(stderr=True, markup=False, emoji=False)
    paths = [path for _, path in paired.pairs]
    seen = look(track(paths, description="looking at masks", console=console, transient=True))
    some = [image for image, _ in paired.pairs[:: max(1, len(paths) // _LOOKED_AT)]]
    lines = [
        "# Proposed by python -m src.check from what lies in the folders; correct what it guessed wrongly.",
        f"# The images are {_sizes(some)}.",
        f"root: {json.dumps(os.path.relpath(paired.root, beside.resolve()), ensure_ascii=False)}",
        f"images: {_listed(paired.images)}  # {paired.reason}",
        f"masks: {_listed(paired.masks)}",
    ]
    if not re.fullmatch(r"\w[\w.+-]{0,99}", name):
        lines.insert(
            2, f"name: '{re.sub(r'[^A-Za-z0-9]+', '_', name).strip('_') or 'own'}'  # for tables and run folders"
        )
    lines += _of_colours(seen, masks) if seen.by_colour else _of_values(seen, masks)
    lines += _of_depth(some)
    if any(paired.alone):
        fits = f" ({paired.masks_too} of them are masks, which fit the pattern too)" if paired.masks_too else ""
        lines.append(
            f"unpaired: ignore  # {paired.alone[0]} images have no mask{fits}, {paired.alone[1]} masks no image"
        )
    return "\n".join([*lines, *_of_splits(paired.ids)]) + "\n"


def data_config(config: DictConfig, console: Console) -> DictConfig:
    """The group `data` for the folders that a config of `src.check` names; prints it, or writes it to a new file.

    Raises:
        InputError: as `propose`, or the file exists.
    """
    path = Path(config.write or "my.yaml")
    if config.write is not None and path.exists():
        raise InputError(f"write={path}: exists already; give another name, or check it with data={path}.")
    if not path.parent.is_dir():
        raise InputError(f"write={path}: there is no folder {path.parent}.")
    if path.suffix not in (".yaml", ".yml"):
        raise InputError(f"write={path}: must end in .yaml, as data=FILE.yaml does.")
    text = propose(Path(config.images), Path(config.masks), path.parent, path.stem)
    content = OmegaConf.create(text)
    assert isinstance(content, DictConfig)
    found = OmegaConf.create(completed("data", as_dict(content), path))
    check_data(found)
    if config.write is None:
        console.print(text, soft_wrap=True, highlight=False)
    else:
        with replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
        console.print(f"wrote {path}; give the classes their names there, then use data={path}", soft_wrap=True)
    return found


def _sizes(images: list[Path]) -> str:
    """'500 px wide and 281 to 375 px high'."""
    sizes = np.array([image_size(path) for path in images])
    ends = zip(sizes.min(0).tolist(), sizes.max(0).tolist(), strict=True)
    width, height = (f"{least}" if least == most else f"{least} to {most}" for least, most in ends)
    return f"{width} px wide and {height} px high"


def _of_colours(seen: Seen, masks: Path) -> list[str]:
    counted = seen.colours
    frequent = [code for code in counted.pixels if counted.share(code) > _RARE or counted.masks[code] > 2]
    if len(frequent) > MOST or len(counted.pixels) > 4 * len(frequent) + 16:
        raise InputError(
            f"{masks}: the masks have {len(counted.pixels):,} colours, so they are photos, or were resized or "
            "compressed after they were drawn; take the original masks."
        )
    order = sorted(frequent, key=lambda code: -counted.pixels[code])
    background = seen.background(order)
    names = {code: "background" if code == background else f"class{k}" for k, code in enumerate(order)}
    lines = [f"classes:  # {len(order)} colours in {seen.looked_at} masks; give them their names"]
    lines += [f"  {names[code]}: {[*colour_of(code)]}  # {counted.share(code):.2f} % of the pixels" for code in order]
    why = "the pixels of the masks are colours"
    if seen.contradicted is not None:
        why = f"the palettes give value {seen.contradicted} different colours, so the colours count"
    lines += [
        f"colours: exact  # {why}",
        "void: null  # if a colour is no class, take it out above and give it here: [R, G, B]",
    ]
    if stray := len(counted.pixels) - len(frequent):
        lines.append(f"# {stray} rare colours are left out; python -m src.check data=THIS says in which masks they are")
    return [*lines, *_background_line(names, background, "black")]


def _of_values(seen: Seen, masks: Path) -> list[str]:
    counted = seen.values
    values = sorted(counted.pixels)
    if values[-1] >= 2**16 or values[0] < 0 or len(values) > MOST:
        raise InputError(f"{masks}: the masks have {len(values):,} values up to {values[-1]}, so they are no labels.")
    labels = [value for value in values if value != 255]
    in_a_row = len(labels) > 1 and labels[-1] - labels[0] < len(labels) and labels[0] <= 1
    is_void = 255 in values and (in_a_row or (len(labels) > 2 and labels[-1] < _FAR))
    labels = labels if is_void else values
    if len(labels) < 2:
        raise InputError(f"{masks}: the masks have only the value {labels[0]}, so there is nothing to learn.")
    background = seen.background(labels)
    names = {value: "background" if value == background else f"class{value}" for value in labels}
    entries = {value: seen.of_palette.get(value) for value in labels}
    if None not in entries.values() and len({*entries.values()}) == len(labels):
        lines = [
            f"classes:  # {len(labels)} values in {seen.looked_at} masks, colours of their palette; give them names"
        ]
        lines += [f"  {names[v]}: {[*(entries[v] or ())]}  # {counted.share(v):.2f} % of the pixels" for v in labels]
    else:
        lines = [f"classes:  # {len(labels)} values in {seen.looked_at} masks; give them their names"]
        lines += [f"  - {names[v]}  # value {v}, {counted.share(v):.2f} % of the pixels" for v in labels]
    if labels != [*range(len(labels))]:
        mapping = ", ".join(f"{value}: {names[value]}" for value in labels)
        lines.append(
            f"label_mapping: {{{mapping}}}  # the values are not 0, 1, 2, ...; a value that is not named is an error"
        )
    if sum(counted.share(value) < _TRACE for value in values) > len(values) / 2:
        lines.append("# Most values are very rare: were the masks resized or compressed after they were drawn?")
    reason = "255 is the usual value, and far from the others" if is_void else "each value is a class"
    return [*lines, f"void: {255 if is_void else 'null'}  # {reason}", *_background_line(names, background, "value 0")]


def _background_line(names: Mapping[int, str], background: int | None, what: str) -> list[str]:
    if background is None:
        return [f"background: null  # {what} is not in nearly all masks; name the class, if one is the background"]
    return [f"background: {names[background]}  # {what} is in nearly all masks; null if it is a class like the others"]


def _of_depth(images: list[Path]) -> list[str]:
    looked_at = images[:: max(1, len(images) // 20)]
    wide = [value for value in map(largest_value, looked_at) if value is not None]
    if not wide:
        return []
    largest = max(wide)
    white = next(white for white in (256, 1023, 4095, 16383, 65535) if largest <= white)
    return [f"white: {white}  # images of more than 8 bits; the largest value in {len(looked_at)} of them is {largest}"]


def _of_splits(ids: list[str]) -> list[str]:
    """Folders called train and val, or else a share that is drawn."""
    tops = {image.partition(BETWEEN)[0] for image in ids if BETWEEN in image}
    val = next((name for name in ("val", "valid", "validation", "test") if name in tops), None)
    train = next((name for name in ("train", "training") if name in tops), None)
    if train and val:
        return [f"train: {train}/*  # by the folders' names", f"val: {val}/*"]
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


def _listed(patterns: tuple[str, ...]) -> str:
    return _text(patterns[0]) if len(patterns) == 1 else f"[{', '.join(map(_text, patterns))}]"


def _text(text: str) -> str:
    """A text as YAML reads it: in JSON's quotes if it begins with a sign that means something."""
    return text if text[:1].isalnum() and not set(text) & set(":#,[]{}'\"") else json.dumps(text, ensure_ascii=False)
