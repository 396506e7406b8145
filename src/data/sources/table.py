"""The data sources that a config can name; each adds itself in its own module. What their options may be."""

import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from omegaconf import DictConfig

from src.core.errors import InputError
from src.core.names import Table

_HOMES = (f"src.data.sources.{name}" for name in ("folder", "voc", "sbd", "shapes.dataset", "oxford_pets", "ade20k"))
SOURCES: Table[Path] = Table("data.source", *_HOMES)
"""Functions of `root` and the options of `data.prepare`: find, download or make a data set, and return its folder."""


@dataclass(frozen=True)
class Within:
    """In the annotation of a source's option: the smallest and the largest number."""

    low: int
    high: int


@dataclass(frozen=True)
class Like:
    """In the annotation of a source's option: the pattern of the whole text, and what to call such a text."""

    pattern: str
    name: str


URL = Annotated[
    str, Like(r"(https?|ftp|file)://[!-Z^-~]+/[!-.0-~]+", "the address of a file in ASCII, such as https://HOST/FILE")
]
MD5 = Annotated[str, Like(r"[0-9a-fA-F]{32}", "an MD5 checksum, 32 hex digits")]


def source_of(data: DictConfig) -> Callable[..., Path]:
    """The function of `root` that the group `data` of a config names, with its options.

    Raises:
        InputError: as `Table.make`, or as `check_options`.
    """
    found = SOURCES.bound({**data.prepare, "source": data.source}, given=("root",))
    assert isinstance(found, partial)
    check_options(found.func, found.keywords)
    return found


def check_options(source: Callable[..., Path], options: Mapping[str, Any]) -> None:
    """Raise InputError for an option of another type than the source's annotations say, or out of their bounds."""
    try:
        hints = get_type_hints(source, include_extras=True)
    except NameError:  # a plugin's, with names that exist only for a type checker
        hints = {}
    for key, value in options.items():
        hint = hints.get(key)
        kind, *notes = get_args(hint) if get_origin(hint) is Annotated else (hint,)
        if wanted := _wanted(value, kind, notes):
            raise InputError(f"data.prepare.{key}={value}: must be {wanted}.")


def _wanted(value: Any, kind: Any, notes: list[Any]) -> str | None:
    """What a value must be, if it is not; None if it is, or if nothing is known about it."""
    if kind is bool:
        return None if isinstance(value, bool) else "true or false"
    if kind is int:
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        for bounds in (note for note in notes if isinstance(note, Within)):
            if not is_whole or not bounds.low <= value <= bounds.high:
                return f"a whole number from {bounds.low:,} to {bounds.high:,}"
        return None if is_whole else "a whole number"
    if kind is str:
        for likeness in (note for note in notes if isinstance(note, Like)):
            if not isinstance(value, str) or not re.fullmatch(likeness.pattern, value):
                return likeness.name
        return None if isinstance(value, str) and value else "text"
    return None


def check_root(root: Path) -> None:
    """Raise InputError for a root that can be no folder: a file, or a symbolic link that leads nowhere or in a circle.

    Such a link would look like missing data, and start a download.
    """
    for path in (root, *root.parents):
        try:
            if path.is_symlink() and not path.exists():
                raise InputError(f"data.root={root}: {path} is a symbolic link that leads nowhere; correct the link.")
            if not stat.S_ISDIR(path.stat().st_mode):
                raise InputError(f"data.root={root}: {path} is a file, but a folder is needed.")
            return
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise InputError(f"data.root={root}: can be no folder ({error.strerror}).") from error
