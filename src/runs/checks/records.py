"""Checks of the files of a run folder, which anybody may have written: its config, scores and ending. No torch."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Union

from omegaconf import DictConfig

from src.core.compose import plain, read_mapping
from src.core.errors import InputError, printable
from src.core.files.reading import open_regular, read_json
from src.core.values import (
    check_config,
    check_folder_name,
    check_mapping,
    check_path,
    check_text,
    each,
    either,
    many,
    parts,
)

THEN_AGAIN = "the same command (python -m src.train, or src.evaluate for a folder of scores) scores again"
SCORE_AGAIN = f"delete it, then {THEN_AGAIN}"
_GO_ON = "delete it, then the same python -m src.train goes on from last.ckpt"
_REASON = 2000  # characters of a reason that are shown


@dataclass(frozen=True)
class _Kind:
    """What a value must be, in words and as a test."""

    words: str
    fits: Callable[[Any], bool]

    def or_null(self) -> "_Kind":
        return _Kind(f"{self.words} or null", lambda value: value is None or self.fits(value))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


_TEXT = _Kind("a short text", lambda value: isinstance(value, str) and value.isprintable() and len(value) <= 300)
_PLACE = _Kind("a path", lambda value: isinstance(value, str) and value.isprintable() and 0 < len(value) <= 4096)
_NUMBER = _Kind("a number", lambda value: _is_number(value) and math.isfinite(value))
_SHARE = _Kind("a number from 0 to 1", lambda value: _is_number(value) and 0 <= value <= 1)
_TIME = _Kind("a number of seconds", lambda value: _is_number(value) and 0 <= value <= 1e9)
_WHOLE = _Kind("a whole number", lambda value: isinstance(value, int) and _is_number(value) and value >= 0)
_PLAIN = _Kind(
    "a short text, a number or true or false", lambda value: isinstance(value, bool | int) or _TEXT.fits(value)
)

_NAMES = _Kind(
    "a list of different names",
    lambda value: (
        isinstance(value, list)
        and 2 <= len(value) <= 1000
        and all(_TEXT.fits(name) and name for name in value)
        and len(set(value)) == len(value)
    ),
)
_COLOURS = _Kind(
    "a list of colours [R, G, B]",
    lambda value: (
        isinstance(value, list)
        and all(isinstance(c, list) and len(c) == 3 and all(_WHOLE.fits(v) and v <= 255 for v in c) for c in value)
    ),
)

Shape = Mapping[str, Union[_Kind, "Shape"]]
"""Key to what its value must be; `*` stands for every key, and a key with `?` may be missing."""

_BEST: Shape = {"key": _TEXT, "value": _NUMBER, "epoch": _WHOLE.or_null(), "adopted?": _TEXT}
_TRAINING: Shape = {
    "steps": _WHOLE,
    "of": _WHOLE,
    "stopped": _TEXT.or_null(),
    "seconds?": _TIME,
    "fitting?": _TIME,
    "memory?": _WHOLE,
}
_COSTS: Shape = {
    "parameters?": _WHOLE,
    "multiply_adds?": _WHOLE,
    "crop?": _WHOLE,
    "seconds": {"*": _TIME},
    "scoring?": _TIME,
    "first?": _TIME,
    "jobs": _WHOLE,
    "without_network?": _PLAIN,
}
_RESULTS: Shape = {
    "data": _TEXT,
    "protocol": _TEXT,
    "images": _WHOLE,
    "classes?": {"names": _NAMES, "colours": _COLOURS, "background": _TEXT.or_null()},
    "variants": {
        "*": {
            "miou": _SHARE,
            "pixel_accuracy": _SHARE,
            "iou?": {"*": _SHARE.or_null()},
            "trimap_miou?": {"*": _SHARE.or_null()},
            "boundary_iou?": _SHARE.or_null(),
        }
    },
    "monitor?": _BEST,
    "training?": _TRAINING,
    "costs?": _COSTS,
    "crf?": {"name": _TEXT, "effective_sigma_rgb": {}},
    "fingerprint?": {"*": _TEXT},
    "versions?": {"*": _TEXT},
    "logits?": _PLACE.or_null(),
    "machine?": {"*": _PLAIN.or_null()},
}
_ENDING: Shape = {"monitor": _BEST, "training": _TRAINING}


_TUNED = either((None,), parts({"ids": many(check_text)}, more=True))
_CRF = parts({}, {"name": check_folder_name, "tuned": _TUNED}, more=True)
_RUN = parts(  # what is read of the config of a run folder where it is not checked as a whole
    {
        "data": parts({"name": check_folder_name, "root": check_path}, {"prepare": check_mapping}, more=True),
        "crf": _CRF,
        "variants": each(either((None,), parts({}, {"crf": either((None,), _CRF)}, more=True))),
        "trainer": check_mapping,
    },
    {"recipe": check_mapping, "plugins": either((None,), each(check_text))},
    more=True,
)


def read_config(path: Path) -> DictConfig:
    """The `config.yaml` of a run folder; raises InputError if it is missing, damaged or not the config of a run."""
    config = plain(read_mapping(path, str(path)), path)
    try:
        check_config(config, _RUN)
    except InputError as error:
        raise InputError(f"{path}: is not the config of a run, or was cut: {error}") from error
    return config


def read_results(path: Path, *, trained: bool) -> dict[str, Any] | None:
    """The checked content of a `results.json`, or None if there is none.

    Args:
        path: of the file.
        trained: whether it is that of a training, which names its best epoch under `monitor`.

    Raises:
        InputError: it is damaged, or a key is missing or of another type.
    """
    content: dict[str, Any] | None = _read(path, _RESULTS, SCORE_AGAIN)
    if content is None:
        return None
    if trained and "monitor" not in content:
        raise InputError(f"{path} has no `monitor`: {SCORE_AGAIN}.")
    if not content["variants"]:
        raise InputError(f"{path} has no scores under `variants`: {SCORE_AGAIN}.")
    for name in content["variants"]:
        if not re.fullmatch(r"\w{1,100}", name) or name == "ids":  # it becomes a part of the names of files
            raise InputError(f"{path}: '{printable(name[:100])}' is not the name of a variant: {SCORE_AGAIN}.")
    return content


def read_ending(path: Path) -> dict[str, Any] | None:
    """The checked content of a `training.json`, or None if there is none; raises InputError as `read_results`."""
    return _read(path, _ENDING, _GO_ON)


def read_reason(path: Path) -> str:
    """The text of a `failed.txt` on one line, cut if it is long; empty if there is none.

    Raises:
        InputError: something that is not a file lies in its place.
    """
    try:
        with open_regular(path, way_out="delete it") as file:
            text = file.read(4 * _REASON).decode(errors="backslashreplace").strip()
    except FileNotFoundError:
        return ""
    shown = printable(text[:_REASON].replace("\n", " "))
    return f"{shown} ..." if len(text) > _REASON else shown


def _read(path: Path, shape: Shape, way_out: str) -> dict[str, Any] | None:
    content = read_json(path, way_out=way_out)
    if content is None and not path.exists():
        return None
    if problem := _problem(content, shape, ""):
        raise InputError(f"{path} {problem}: {way_out}.")
    found: dict[str, Any] = content
    return found


def _problem(content: Any, shape: Shape, where: str) -> str | None:
    """What the first wrong value is; None if all are right."""
    if not isinstance(content, dict):
        return f"holds no keys under `{where}`" if where else "holds no keys"
    for key, wanted in shape.items():
        name = key.rstrip("?")
        for inner in content if key == "*" else [name]:
            place = printable(f"{where}.{inner[:100]}" if where else inner)
            if inner not in content:
                if key.endswith("?"):
                    continue
                return f"has no `{place}`"
            if isinstance(wanted, _Kind):
                if not wanted.fits(content[inner]) or not _TEXT.fits(inner):
                    return f"has `{place}`, which is not {wanted.words}"
            elif problem := _problem(content[inner], wanted, place):
                return problem
    return None
