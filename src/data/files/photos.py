"""Images that belong to no data set: where they are, names for their results, and their pixels as viewers show them."""

from __future__ import annotations

import glob
import hashlib
import io
import os
import stat
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from src.core.errors import InputError
from src.core.files.reading import read_text
from src.core.values import shown
from src.data.classes import Pixels
from src.data.files.decoding import has_alpha, orientation, read_bytes, rgb_of
from src.data.files.patterns import SUFFIXES

VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg")
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_LONGEST = 220  # bytes of a name; a system takes 255, and files get endings
_LISTS = (".txt", ".lst")


def find_photos(wanted: str | Sequence[str], *, besides: Path | None = None) -> list[Path]:
    """The absolute paths that `images=` names, each once, in order. Whether they can be read is seen later.

    Args:
        wanted: a photo, a folder (with those in it), a pattern with wildcards, a text file with a path per line,
            or several of these.
        besides: a folder whose files are left out of folders and patterns: that of the results, if it lies inside.

    Raises:
        InputError: there is nothing, or a folder or list without images.
    """
    own = None if besides is None else absolute(besides)
    found: dict[Path, None] = {}
    for word in [wanted] if isinstance(wanted, str) else wanted:
        named, explicit = _named(word)
        found |= dict.fromkeys(path for path in named if explicit or own not in path.parents)
    if not found:
        raise InputError(f"images={shown(wanted)}: names no image.")
    return [*found]


def absolute(path: Path) -> Path:
    """The path from the root, without `..`; links stay."""
    return Path(os.path.abspath(path.expanduser()))  # noqa: PTH100  # Path.absolute keeps `..`


def _named(word: str) -> tuple[list[Path], bool]:
    """The paths that a word names, and whether it names each of them."""
    path = Path(word).expanduser()
    if path.is_dir():
        if not (found := _in_folder(path)):
            raise InputError(f"images={path}: no image is in this folder; images end in {', '.join(SUFFIXES)}.")
        return found, False
    if path.suffix.lower() in _LISTS and path.is_file():
        lines = [line.strip() for line in read_text(path, way_out="give a list with one path per line").splitlines()]
        return [absolute(path.parent / Path(line).expanduser()) for line in lines if line], True
    if path.exists():
        return [absolute(path)], True
    if set(word) & set("*?["):
        files = sorted(Path(one) for one in glob.glob(str(path), recursive=True))  # noqa: PTH207  # of any root
        if found := [absolute(file) for file in files if not file.is_dir()]:
            return found, False
        raise InputError(f"images={word}: fits no file; quote the pattern, so that the shell leaves it alone.")
    raise InputError(f"images={word}: does not exist; give a photo, a folder, a pattern or a list of paths.")


def _in_folder(folder: Path) -> list[Path]:
    """Images below a folder; hidden names are left out, and linked folders are not entered."""
    found = []
    for place, folders, files in os.walk(absolute(folder)):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        names = (name for name in sorted(files) if not name.startswith("."))
        found += [Path(place, name) for name in names if Path(name).suffix.lower() in SUFFIXES]
    return found


def names_of(paths: Sequence[Path]) -> list[str]:
    """A name for the results of each image: its path below the folder that holds all, without the ending.

    So equal names in two folders stay apart. Where two would still be equal, as of a.jpg and a.png, the ending stays.

    Args:
        paths: absolute, each once.
    """
    top = Path(os.path.commonpath([path.parent for path in paths]))
    short = [path.relative_to(top).with_suffix("").as_posix() for path in paths]
    often = Counter(name.casefold() for name in short)  # some file systems do not tell A from a
    names = [
        name if often[name.casefold()] == 1 else path.relative_to(top).as_posix()
        for name, path in zip(short, paths, strict=True)
    ]
    often = Counter(name.casefold() for name in names)
    return [
        name if often[name.casefold()] == 1 and _fits(name) else _by_hash(name, path)
        for name, path in zip(names, paths, strict=True)
    ]


def _fits(name: str) -> bool:
    return all(len(part.encode(errors="surrogateescape")) <= _LONGEST for part in name.split("/"))


def _by_hash(name: str, path: Path) -> str:
    """A short name that no other path has."""
    parts = [part if _fits(part) else part[: _LONGEST // 4] for part in name.split("/")]
    return f"{'/'.join(parts)}-{hashlib.sha256(bytes(path)).hexdigest()[:8]}"


def read_photo(path: Path, *, white: int | None) -> tuple[Pixels, list[str]]:
    """(H, W, 3) uint8 RGB, turned as EXIF says, and what was done to the pixels, in words.

    Raises:
        InputError: as `read_rgb`.
    """
    return photo_of(read_bytes(path), path, white=white)


def photo_of(data: bytes, path: Path, *, white: int | None) -> tuple[Pixels, list[str]]:
    """The same of a file's content; `path` is its name in messages."""
    rgb = rgb_of(data, path, white=white, key="white")
    notes = []
    if (flag := orientation(io.BytesIO(data))) != 1:
        rgb = rgb if data.startswith(_TIFF) else turned(rgb, flag)  # Pillow and OpenCV turn TIFFs by themselves
        notes.append("turned as its EXIF flag says")
    if has_alpha(data):
        notes.append("transparency ignored: the colours below it are used, as in training")
    return rgb, notes


def turned(rgb: Pixels, flag: int) -> Pixels:
    """An image as EXIF's orientation, 1 to 8, wants it to be shown; other numbers mean nothing."""
    if not 2 <= flag <= 8:
        return rgb
    if flag >= 5:
        rgb = rgb.transpose(1, 0, 2)
    down, across = flag in (3, 4, 7, 8), flag in (2, 3, 6, 7)
    return np.ascontiguousarray(rgb[:: -1 if down else 1, :: -1 if across else 1])


def stamp(path: Path) -> list[int]:
    """Bytes and time of change of a file: equal if it is the same as before; zeros if it is missing."""
    try:
        status = path.stat()
    except OSError:
        return [0, 0]
    return [status.st_size, status.st_mtime_ns] if stat.S_ISREG(status.st_mode) else [0, 0]
