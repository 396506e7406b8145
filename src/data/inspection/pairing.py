"""How the names of images and masks in two folders belong together: the patterns of a config, found by trying."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from src.core.errors import InputError
from src.data.files.patterns import SUFFIXES

# What data sets add to the names of images and of masks.
_OF_IMAGES = ("", "_leftImg8bit", "_image", "_img", "_rgb", "_sat", "_0000", "-image")
_OF_MASKS = (
    *("", "_mask", "_masks", "_gt", "_label", "_labels", "_seg", "_segmentation", "_L", "_trimap", "_GT"),
    *("-mask", ".mask", "_gtFine_labelIds", "_labelIds", "_m", "-label", "_Segmentation", "_annotation"),
)
_EXAMPLES = 3


@dataclass(frozen=True)
class Pairing:
    """The patterns of images and masks, relative to `root`, and how many files they pair.

    Attributes:
        root: the folder that holds both.
        images: patterns.
        masks: patterns.
        pairs: paths of the images and masks that belong together.
        alone: numbers of images without a mask, and of masks without an image.
        reason: in words.
    """

    root: Path
    images: tuple[str, ...]
    masks: tuple[str, ...]
    pairs: list[tuple[Path, Path]]
    alone: tuple[int, int]
    reason: str


def pair(images: Path, masks: Path) -> Pairing:
    """The patterns that pair most files of two folders, which may be the same one.

    Raises:
        InputError: a folder is missing or holds no picture, or no names of images and masks belong together.
    """
    names = {key: _pictures(folder, key) for key, folder in (("images", images), ("masks", masks))}
    same = images.resolve() == masks.resolve()
    best: tuple[int, str, str, dict[str, str], dict[str, str]] | None = None
    for of_images, of_masks in itertools.product(_OF_IMAGES, _OF_MASKS):
        if same and of_images == of_masks:
            continue
        first = _stems(names["images"], of_images, without=of_masks if same else "")
        second = _stems(names["masks"], of_masks, without=of_images if same else "")
        count = len(first.keys() & second.keys())
        if count and (best is None or count > best[0]):
            best = count, of_images, of_masks, first, second
    if best is None:
        examples = " and ".join(f"{_some(found)} in {key}" for key, found in names.items())
        raise InputError(
            f"images={images} masks={masks}: no name of an image fits one of a mask ({examples}); write the patterns "
            "yourself, as conf/data/folder.yaml shows, where * stands for what both have in common."
        )
    count, of_images, of_masks, first, second = best
    root = Path(os.path.commonpath([images.resolve(), masks.resolve()]))
    added = [f"{what} have {text} after it" for what, text in (("images", of_images), ("masks", of_masks)) if text]
    return Pairing(
        root,
        _patterns(root, images, first.values(), of_images),
        _patterns(root, masks, second.values(), of_masks),
        [(images / first[key], masks / second[key]) for key in sorted(first.keys() & second.keys())],
        (len(first) - count, len(second) - count),
        f"{count} pairs by equal names{'; ' if added else ''}{', '.join(added)}",
    )


def _pictures(folder: Path, key: str) -> list[str]:
    """The pictures in a folder and below it, relative to it."""
    if not folder.is_dir():
        raise InputError(f"{key}={folder}: there is no such folder.")
    found = [
        str(Path(here, name).relative_to(folder).as_posix())
        for here, _, files in os.walk(folder, followlinks=True)
        for name in files
        if name.lower().endswith(SUFFIXES) and not name.startswith(".")
    ]
    if not found:
        raise InputError(f"{key}={folder}: holds no picture ({', '.join(SUFFIXES)}), in folders inside it neither.")
    return sorted(found)


def _stems(names: Sequence[str], added: str, *, without: str) -> dict[str, str]:
    """What is left of names that end in `added`: to the name; those that end in `without` are of the others."""
    found = {}
    for name in names:
        stem = name.removesuffix(Path(name).suffix)
        if stem.endswith(added) and not (without and stem.endswith(without)):
            found[stem.removesuffix(added)] = name
    return found


def _patterns(root: Path, folder: Path, names: Iterable[str], added: str) -> tuple[str, ...]:
    """A pattern for each ending, the most frequent first."""
    listed = [*names]
    inside = folder.resolve().relative_to(root).as_posix()
    start = "" if inside == "." else f"{inside}/"
    depth = "**/" if any("/" in name for name in listed) else ""
    endings = Counter(Path(name).suffix for name in listed)
    return tuple(f"{start}{depth}*{added}{ending}" for ending, _ in endings.most_common())


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_EXAMPLES]) + (", ..." if len(names) > _EXAMPLES else "")
