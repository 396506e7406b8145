"""The group `data` of a config: what each key may be, and the classes, folder and splits it describes. No torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from src.core.errors import InputError
from src.core.values import (
    as_dict,
    check_choice,
    check_config,
    check_folder_name,
    check_mapping,
    check_path,
    check_text,
    choice,
    each,
    either,
    many,
    parts,
    shown,
    whole,
)
from src.data.classes import Classes, Colour, check_colour, read_classes
from src.data.files.folder import ImageFolder
from src.data.files.labels import VALUES, Labelling
from src.data.files.patterns import Patterns, check_pattern
from src.data.files.splits import SHARE, Rule, Splits

UNPAIRED = ("error", "ignore")
_REPEATS = 5  # * + { in an expression
COLOUR = re.compile(r"\s*(\d{1,3})\s*,\s*(\d{1,3})\s*,\s*(\d{1,3})\s*")  # a colour as a text


def _patterns(key: str, value: Any) -> None:
    listed: list[Any] = [value] if isinstance(value, str) else value if isinstance(value, list) else [None]
    for pattern in listed:
        check_text(key, pattern)
        check_path(key, pattern)
        check_pattern(key, pattern)


def _chosen(key: str, value: Any) -> None:
    if isinstance(value, str):
        check_text(key, value)
        if "%" in value and _share(value) is None:
            raise InputError(f"{key}={shown(value)}: must be a share between 0 % and 100 %, such as 20 %.")
    else:
        many(check_text, 1)(key, value)


def _training(key: str, value: Any) -> None:
    _chosen(key, value)
    if isinstance(value, str) and "%" in value:
        raise InputError(f"{key}={shown(value)}: a share is drawn for data.val; all other images are trained on.")


def check_expression(key: str, value: Any) -> None:
    """Raise InputError unless the value is a regular expression that cannot take for ever."""
    check_text(key, value)
    if re.search(r"\)[*+{]", value) or len(re.findall(r"[*+{]", value)) > _REPEATS:
        raise InputError(
            f"{key}={shown(value)}: a bracket must not be repeated, and at most {_REPEATS} things may be, or matching "
            "could take for ever."
        )
    try:
        re.compile(value)
    except (re.error, RecursionError, OverflowError) as error:
        raise InputError(f"{key}={shown(value)}: is no regular expression ({error}).") from error


def _limits(key: str, value: Any) -> None:
    each(either((None,), whole(0, 10**9)))(key, value)
    for split in value:
        check_choice(key, split, ("train", "val"))


DATA = parts(
    {
        **{"name": check_folder_name, "source": check_text, "root": check_path, "prepare": check_mapping},
        **{"images": _patterns, "masks": _patterns, "classes": lambda key, value: None},
        **{"void": lambda key, value: None, "background": either((None,), check_text)},
        **{"label_mapping": check_mapping, "colours": either((None,), choice("exact"))},
        **{"unpaired": choice(*UNPAIRED), "white": either((None,), whole(256, 65535))},
        **{
            "train": either((None,), _training),
            "val": either((None,), _chosen),
            "group": either((None,), check_expression),
        },
        **{"train_list": either((None,), check_path), "val_list": either((None,), check_path)},
        **dict.fromkeys(("train_limit", "val_limit"), either((None,), whole(1, 10**9))),
        "expected": either((None,), _limits),
    }
)


def check_data(data: DictConfig) -> None:
    """Raise InputError for a group `data` that describes no data set; nothing on the disk is looked at."""
    check_config(data, DATA, "data")
    content = as_dict(data)
    labelling_of(data)
    for split in ("train", "val"):
        if content[split] is not None and content[f"{split}_list"] is not None:
            raise InputError(f"data.{split} and data.{split}_list: give one of them, and null for the other.")
    if content["val"] is None and content["val_list"] is None:
        raise InputError("data.val: is missing; give ids, a pattern of ids, or a share such as 20 %, or data.val_list.")


def classes_of(data: DictConfig) -> Classes:
    """The classes that the group `data` of a config names; raises InputError as `read_classes`."""
    content = as_dict(data)
    return read_classes(content["classes"], content["background"])[0]


def labelling_of(data: DictConfig) -> Labelling:
    """What the pixels of the masks mean; raises InputError for a void or a mapping that cannot be."""
    content = as_dict(data)
    classes, stated = read_classes(content["classes"], content["background"])
    by_colour = content["colours"] == "exact"
    if by_colour and not stated:
        raise InputError("data.colours=exact: data.classes must give the colours: {road: [128, 64, 128], ...}.")
    if by_colour and len(set(classes.colours)) < len(classes):
        twice = next(k for k, colour in enumerate(classes.colours) if classes.colours.count(colour) > 1)
        raise InputError(f"data.classes.{classes.names[twice]}: another class has the same colour.")
    void = content["void"]
    if void is not None and isinstance(void, list) != by_colour:
        wanted = "a colour [R, G, B], as masks hold colours" if by_colour else "a value, as masks hold values"
        raise InputError(f"data.void={shown(void)}: must be {wanted}, or null.")
    if isinstance(void, list):
        void = check_colour("data.void", void)
        if void in classes.colours:
            name = classes.names[classes.colours.index(void)]
            raise InputError(f"data.void={[*void]}: is the colour of {name}, too; take {name} out of data.classes.")
    elif void is not None:
        whole(0, VALUES - 1)("data.void", void)
    mapping = _mapping(content["label_mapping"], classes, by_colour)
    if void is not None and mapping.get(void, classes.void) != classes.void:
        raise InputError(
            f"data.label_mapping.{_written(void)}: is data.void, too; set data.void=null if it is a class."
        )
    if isinstance(void, int) and void < len(classes) and not mapping:
        raise InputError(
            f"data.void={void}: is the label of {classes.names[void]}, too; if the labels begin after it, give all of "
            "them in data.label_mapping."
        )
    return Labelling(classes, void, mapping, by_colour, stated)


def folder_of(data: DictConfig, path: Path) -> ImageFolder:
    """The images and masks that the group `data` describes, in a folder that its source has found or made."""
    content = as_dict(data)
    patterns = {
        key: Patterns(
            path, (content[key],) if isinstance(content[key], str) else tuple(content[key]), key=f"data.{key}"
        )
        for key in ("images", "masks")
    }
    return ImageFolder(
        path, **patterns, labelling=labelling_of(data), unpaired=content["unpaired"] == "ignore", white=content["white"]
    )


def splits_of(data: DictConfig, path: Path, left_out: Mapping[str, frozenset[str]]) -> Splits:
    """The splits that the group `data` describes; `left_out` as in `Splits`."""
    content = as_dict(data)
    rules = {split: rule_of(content, split) for split in ("train", "val")}
    return Splits(folder_of(data, path), **rules, group=content["group"], left_out=dict(left_out))


def rule_of(content: Mapping[str, Any], split: str) -> Rule:
    """The rule of "train" or "val"."""
    chosen = content[split]
    share = _share(chosen) if isinstance(chosen, str) else None
    patterns = () if chosen is None or share else (chosen,) if isinstance(chosen, str) else tuple(chosen)
    return Rule(content[f"{split}_list"], patterns, share or 0.0, content[f"{split}_limit"])


def _share(text: str) -> float | None:
    """The fraction that "20 %" names; None if the text is no share between 0 and 100 %."""
    match = SHARE.fullmatch(text)
    share = float(match.group(1)) / 100 if match else 0.0
    return share if 0 < share < 1 else None


def _mapping(given: Mapping[Any, Any], classes: Classes, by_colour: bool) -> dict[int | Colour, int]:
    """The labels of the values, or colours, that `label_mapping` names."""
    found: dict[int | Colour, int] = {}
    for key, name in given.items():
        pixel = _colour(key) if by_colour else _value(key)
        label = _label(key, name, classes)
        if pixel in found:
            raise InputError(f"data.label_mapping.{key}: {_written(pixel)} is there twice; leave one of them out.")
        if pixel in classes.colours and classes.colours[label : label + 1] != (pixel,):
            owner = classes.names[classes.colours.index(pixel)]
            raise InputError(f"data.label_mapping.{key}={shown(name)}: is the colour of {owner} in data.classes.")
        found[pixel] = label
    return found


def _value(key: Any) -> int:
    """The value of a mask that a key of `label_mapping` stands for; YAML may give it as a number or a text."""
    text = str(key)
    if not re.fullmatch(r"\d{1,5}", text) or int(text) >= VALUES:
        colours = "; colours need data.colours=exact" if COLOUR.fullmatch(text) else ""
        raise InputError(
            f"data.label_mapping.{shown(key)}: must be a value of the masks, from 0 to {VALUES - 1}{colours}."
        )
    return int(text)


def _colour(key: Any) -> Colour:
    """The colour that a key of `label_mapping` stands for, written as a text: a key of YAML cannot be a list."""
    match = COLOUR.fullmatch(str(key))
    if match is None:
        raise InputError(
            f'data.label_mapping.{shown(key)}: must be a colour of the masks in quotes, such as "128, 64, 128", as '
            "data.colours is exact."
        )
    return check_colour(f"data.label_mapping.{key}", [int(part) for part in match.groups()])


def _written(pixel: int | Colour) -> str:
    return str(pixel) if isinstance(pixel, int) else ", ".join(map(str, pixel))


def _label(key: Any, name: Any, classes: Classes) -> int:
    if name == "void":
        return classes.void
    if isinstance(name, str) and name in classes.names:
        return classes.names.index(name)
    if isinstance(name, int) and not isinstance(name, bool) and 0 <= name < len(classes):
        return name
    raise InputError(
        f"data.label_mapping.{key}={shown(name)}: must be void, a class of data.classes, or its number, from 0 to "
        f"{len(classes) - 1}."
    )
