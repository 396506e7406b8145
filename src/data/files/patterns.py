"""Where the files of a data set lie: patterns, whose wildcards stand for the id of an image. No torch."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from src.core.errors import InputError

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp")
_WILDCARDS = 3  # in one name of a pattern; more would let a name fit in very many ways
BETWEEN = "__"  # in an id, instead of a slash: an id is a part of names of files


@dataclass(frozen=True)
class Patterns:
    """Files below a folder, each with the id that the wildcards of its pattern stand for.

    `*` stands for any part of a name, `?` for one character, `**/` for any number of folders. So `a/b.png` fits
    `**/*.png` and has the id `a__b`. A pattern that ends in a wildcard fits the endings of `SUFFIXES`, too, which do
    not belong to the id.

    Attributes:
        root: the folder.
        patterns: relative to it; if two of them fit files of one id, the first one counts.
        key: of the config, for messages.
    """

    root: Path
    patterns: tuple[str, ...]
    key: str

    def path(self, image_id: str) -> Path:
        """The path of an id: the first one that exists, else the first one that could be."""
        if len(self._plain) < len(self.patterns):
            there = self.found.get(image_id)
            return there or self.root / re.sub(r"[*?]+", image_id, self.patterns[0].replace("**/", ""))
        direct = [self.root / f"{before}{image_id}{after}" for before, after in self._plain]
        if len(direct) == 1:
            return direct[0]
        return next((path for path in direct if path.is_file()), direct[0])

    @cached_property
    def _plain(self) -> list[tuple[str, str]]:
        """Of the patterns in which the path of an id needs no search: what is before and after the id."""
        return [parts for parts in map(_plain, self.patterns) if parts is not None]

    @cached_property
    def found(self) -> dict[str, Path]:
        """All ids with their paths, in the order of the ids.

        Raises:
            InputError: a folder cannot be read, or two files of one pattern have the same id.
        """
        files: dict[str, Path] = {}
        for pattern in self.patterns:
            own: dict[str, Path] = {}
            for image_id, path in self._fitting(pattern):
                if image_id in own:
                    raise InputError(
                        f"{self.key}={pattern}: {own[image_id]} and {path} have the same id {image_id}; rename one, or "
                        "give a pattern with the ending."
                    )
                own[image_id] = path
            files = {**own, **files}
        return dict(sorted(files.items()))

    def _fitting(self, pattern: str) -> Iterator[tuple[str, Path]]:
        expression = _expression(pattern)
        parts = pattern.split("/")
        fixed = next((k for k, part in enumerate(parts) if set(part) & set("*?")), len(parts) - 1)
        depth = None if "**" in parts else len(parts)
        try:
            for name in files_below(self.root, "/".join(parts[:fixed]), depth):
                if match := expression.fullmatch(name):
                    yield self._id(match, name), self.root / name
        except FileNotFoundError as error:
            raise InputError(f"{self.key}={pattern}: there is no folder {error.filename}.") from None
        except OSError as error:
            raise InputError(f"{self.key}={pattern}: {error.filename} cannot be read ({error.strerror}).") from error

    def _id(self, match: re.Match[str], name: str) -> str:
        image_id = BETWEEN.join(part for group in match.groups() for part in group.split("/") if part)
        if not is_id(image_id):
            raise InputError(
                f"{self.root / name}: '{image_id}' cannot be the id of an image, which is a short printable text "
                "without backslash and double spaces; rename the file."
            )
        return image_id

    def __str__(self) -> str:
        return ", ".join(self.patterns)


def is_id(text: str) -> bool:
    """Whether a text can be the name of a file without its ending: nothing that leads elsewhere or cannot be shown."""
    is_name = text.isprintable() and text not in ("", ".", "..") and not set(text) & set("/\\")
    return is_name and text == text.strip() and "  " not in text and len(text.encode()) <= 200


def check_pattern(key: str, pattern: str) -> None:
    """Raise InputError for a pattern that leads out of the folder, or in which no wildcard stands for the id."""
    parts = pattern.split("/")
    if pattern.startswith(("/", "~")) or ".." in parts or "\\" in pattern or "" in parts:
        raise InputError(f"{key}={pattern}: must be a path below data.root, such as images/*.jpg.")
    if not set(pattern) & set("*?"):
        raise InputError(f"{key}={pattern}: needs a wildcard, which stands for the id, such as {parts[0]}/*.png.")
    if any(len(re.findall(r"[*?]+", part)) > _WILDCARDS for part in parts) or parts.count("**") > 1:
        raise InputError(f"{key}={pattern}: has too many wildcards: at most {_WILDCARDS} in a name, and ** once.")
    if any("**" in part and part != "**" for part in parts) or parts[-1] == "**":
        raise InputError(f"{key}={pattern}: ** stands for folders, so write it between slashes, as in images/**/*.png.")


def _plain(pattern: str) -> tuple[str, str] | None:
    """What is before and after the only wildcard of a pattern, if the path of an id needs no search."""
    before, _, after = pattern.partition("*")
    is_plain = after and not set(after) & set("*?/") and "?" not in before
    return (before, after) if is_plain else None


def _expression(pattern: str) -> re.Pattern[str]:
    parts = {"**/": r"((?:[^/]+/)*)", "*": r"([^/]*)", "?": r"([^/])"}
    found = "".join(parts.get(part, re.escape(part)) for part in re.split(r"(\*\*/|\*|\?)", pattern))
    endings = f"(?i:{'|'.join(map(re.escape, SUFFIXES))})" if pattern.endswith(("*", "?")) else ""
    return re.compile(found + endings)


def files_below(root: Path, inside: str, depth: int | None) -> Iterator[str]:
    """Paths of the files in `root/inside`, relative to root, in order; names that begin with a dot are left out.

    Links to folders are followed, but not into a folder that they are in.
    """

    def walk(folder: str, above: frozenset[tuple[int, int]]) -> Iterator[str]:
        status = (root / folder).stat()
        level = folder.count("/") + 1 if folder else 0
        own = (status.st_dev, status.st_ino)
        if own in above or (depth is not None and level >= depth):
            return
        with os.scandir(root / folder) as entries:
            listed = sorted((entry.name, entry.is_dir()) for entry in entries if not entry.name.startswith("."))
        for name, is_folder in listed:
            path = f"{folder}/{name}" if folder else name
            if is_folder:
                yield from walk(path, above | {own})
            else:
                yield path

    yield from walk(inside, frozenset())
