"""How the names of images and masks in two folders belong together: the patterns of a config, found by trying."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from src.core.errors import InputError
from src.data.files.patterns import SUFFIXES, Patterns, files_below

# What data sets add to the names of images and of masks.
_OF_IMAGES = ("", "_leftImg8bit", "_image", "_img", "_rgb", "_sat", "_0000", "-image")
_OF_MASKS = (
    *("", "_mask", "_masks", "_gt", "_label", "_labels", "_seg", "_segmentation", "_L", "_trimap", "_GT"),
    *("-mask", ".mask", "_gtFine_labelIds", "_labelIds", "_m", "-label", "_Segmentation", "_annotation"),
)
_EXAMPLES = 3
_LONELY = 0.2  # files without a partner per pair; more of them are a sign of a wrong guess
_YOURSELF = (
    "Write the patterns yourself, as conf/data/folder.yaml shows, where * stands for what both have in common; are the "
    "two folders swapped?"
)


@dataclass(frozen=True)
class Pairing:
    """The patterns of images and masks, relative to `root`, and how many files they pair.

    Attributes:
        root: the folder that holds both.
        images: patterns.
        masks: patterns.
        pairs: paths of the images and masks that belong together.
        ids: of the pairs.
        alone: numbers of images without a mask, and of masks without an image.
        masks_too: how many of those images are masks, in one folder with the images.
        reason: in words.
    """

    root: Path
    images: tuple[str, ...]
    masks: tuple[str, ...]
    pairs: list[tuple[Path, Path]]
    ids: list[str]
    alone: tuple[int, int]
    masks_too: int
    reason: str


def pair(images: Path, masks: Path) -> Pairing:
    """The patterns that pair most files of two folders, which may be the same one.

    Raises:
        InputError: a folder is missing or holds no picture, or no names of images and masks belong together.
    """
    images, masks = images.resolve(), masks.resolve()
    if odd := next((folder for folder in (images, masks) if set(str(folder)) & set("*?")), None):
        raise InputError(f"{odd}: has * or ? in its name, which are wildcards in a config; rename the folder.")
    names = {key: _pictures(folder, key) for key, folder in (("images", images), ("masks", masks))}
    of_images, of_masks = _best(names["images"], names["masks"], same=images == masks)
    first = _stems(names["images"], of_images, without=of_masks if images == masks else "")
    second = _stems(names["masks"], of_masks, without=of_images if images == masks else "")
    root = Path(os.path.commonpath([images, masks]))
    patterns = (
        _patterns(root, images, first.values(), of_images),
        _patterns(root, masks, second.values(), of_masks),
    )
    found = [Patterns(root, own, f"data.{key}").found for key, own in zip(("images", "masks"), patterns, strict=True)]
    ids = [image for image in found[0] if image in found[1]]
    alone = (len(found[0]) - len(ids), len(found[1]) - len(ids))
    masks_too = sum(image.endswith(of_masks) for image in found[0]) if images == masks and of_masks else 0
    if not ids or max(alone[0] - masks_too, alone[1]) > _LONELY * len(ids):
        raise InputError(
            f"images={images} masks={masks}: only {len(ids)} images have a mask; {alone[0]} images and {alone[1]} "
            f"masks are alone. {_YOURSELF}"
        )
    added = [f"{what} have {text} after it" for what, text in (("images", of_images), ("masks", of_masks)) if text]
    reason = f"{len(ids)} pairs by equal names{'; ' if added else ''}{', '.join(added)}"
    return Pairing(root, *patterns, [(found[0][key], found[1][key]) for key in ids], ids, alone, masks_too, reason)


def _best(images: Sequence[str], masks: Sequence[str], *, same: bool) -> tuple[str, str]:
    """What to take off the names of images and of masks so that most of them are equal."""
    stems = [name.removesuffix(Path(name).suffix) for name in images]
    others = [name.removesuffix(Path(name).suffix) for name in masks]
    firsts = {text: {stem.removesuffix(text) for stem in stems if stem.endswith(text)} for text in _OF_IMAGES}
    seconds = {text: {stem.removesuffix(text) for stem in others if stem.endswith(text)} for text in _OF_MASKS}
    counts = {
        (one, other): len(firsts[one] & seconds[other])
        for one, other in itertools.product(_OF_IMAGES, _OF_MASKS)
        if not (same and one == other)
    }
    best = max(counts, key=lambda both: counts[both])
    if not counts[best]:
        raise InputError(f"no name of an image ({_some(images)}) fits one of a mask ({_some(masks)}). {_YOURSELF}")
    return best


def _pictures(folder: Path, key: str) -> list[str]:
    """The pictures in a folder and below it, relative to it."""
    if not folder.is_dir():
        raise InputError(f"{key}={folder}: there is no such folder.")
    found = [name for name in files_below(folder, "", None) if name.lower().endswith(SUFFIXES)]
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
    inside = folder.relative_to(root).as_posix()
    start = "" if inside == "." else f"{inside}/"
    depth = "**/" if any("/" in name for name in listed) else ""
    endings = Counter(Path(name).suffix for name in listed)
    return tuple(f"{start}{depth}*{added}{ending}" for ending, _ in endings.most_common())


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_EXAMPLES]) + (", ..." if len(names) > _EXAMPLES else "")
