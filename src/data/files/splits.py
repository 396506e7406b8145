"""Which images are trained on and which are scored: from lists, from patterns, or drawn by a hash. No torch."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cached_property

from src.core.errors import InputError
from src.data.files.folder import ImageFolder, some
from src.data.files.patterns import BETWEEN

_SURPRISING = 4.6  # expected images of a share; by chance, none is found in fewer than 1 % of draws (Poisson)
SHARE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*%\s*")


@dataclass(frozen=True)
class Rule:
    """How the images of a split are chosen.

    Attributes:
        name: of a list, see `find_list`; None: not by a list.
        patterns: ids or patterns of ids; empty: not by patterns.
        share: of the groups of the images, drawn by a hash of the group's name, out of the list or the patterns of the
            training images, else of all images; 0: nothing is drawn.
        limit: only the first so many; None: all.
    """

    name: str | None = None
    patterns: tuple[str, ...] = ()
    share: float = 0.0
    limit: int | None = None

    def __str__(self) -> str:
        return self.name or ", ".join(self.patterns) or (f"{100 * self.share:g} %" if self.share else "all others")


@dataclass(frozen=True)
class Splits:
    """The splits of a data set.

    Attributes:
        folder: where the data is.
        train: rule of the training images; without list and patterns: all that are not in val.
        val: rule of the validation images.
        group: a regular expression; images for whose ids its first group (or the whole match) is equal stay together.
        left_out: per tuned preset, the images it was tuned on; they are left out of val.
    """

    folder: ImageFolder
    train: Rule
    val: Rule
    group: str | None
    left_out: Mapping[str, frozenset[str]]

    def rule(self, split: str) -> Rule:
        """That of "train" or "val"."""
        return self.train if split == "train" else self.val

    def listed(self, split: str) -> list[str]:
        """Ids of "train" or "val" within the limit.

        Raises:
            InputError: a list or pattern is wrong, a split is empty, or both have an image or a group.
        """
        rule = self.rule(split)
        alone = self.train.name and self.val.name and not self.group  # scoring needs no list of training images
        found = self.folder.ids(str(rule.name)) if alone else self._whole[split]
        return found[: rule.limit]

    def ids(self, split: str) -> list[str]:
        """The same; val without the images that are left out."""
        found = self.listed(split)
        if split == "train":
            return found
        kept = [image for image in found if not any(image in tuned for tuned in self.left_out.values())]
        if found and not kept:
            raise InputError(
                f"crf={', '.join(self.left_out)}: was tuned on all of '{self.val}'; none is left to score."
            )
        return kept

    def unlimited(self) -> Splits:
        """The same splits without limits."""
        return replace(self, train=replace(self.train, limit=None), val=replace(self.val, limit=None))

    def drawn(self) -> str:
        """What the draw of a share has given, in words; empty if nothing is drawn."""
        if not self.val.share:
            return ""
        val, everyone = self.listed("val"), [*self.listed("val"), *self.listed("train")]
        groups = ""
        if self.group:
            groups = f", {len({*map(self._group_of, val)})} of {len({*map(self._group_of, everyone)})} groups"
        share = f"{100 * len(val) / len(everyone):.0f} %"
        return f"val: {self.val} drew {len(val)} of {len(everyone)} images ({share}){groups}"

    def fingerprint(self, split: str) -> str:
        """A hash of ids and file sizes; it shows whether two runs saw the same data."""
        return self.folder.fingerprint(self.ids(split))

    @cached_property
    def _whole(self) -> dict[str, list[str]]:
        """Both splits without limits; by lists alone they may share images, of which a training warns."""
        lists = {split: self.folder.ids(rule.name) for split in ("train", "val") if (rule := self.rule(split)).name}
        found = lists if len(lists) == 2 else self._ruled(lists)
        if len(lists) < 2 and (shared := sorted(set(found["train"]) & set(found["val"]))):
            raise InputError(f"data.train and data.val have {len(shared)} images in common: {some(shared)}.")
        if self.group:
            both = {*map(self._group_of, found["train"])} & {*map(self._group_of, found["val"])}
            if both:
                raise InputError(f"data.train and data.val both have images of the groups {some(sorted(both))}.")
        return found

    def _ruled(self, lists: Mapping[str, list[str]]) -> dict[str, list[str]]:
        """The splits, of which at most one is a list: the other is chosen from all pairs of the folder.

        But a share is drawn from the list of training images if there is one.
        """
        pairs = lists["train"] if self.val.share and "train" in lists else self.folder.pairs()
        train = _chosen(pairs, self.train.patterns, "train") if self.train.patterns else pairs
        val = self._drawn(train) if self.val.share else lists.get("val") or _chosen(pairs, self.val.patterns, "val")
        if "train" in lists and not self.val.share:
            train = lists["train"]
        elif not self.train.patterns or self.val.share:
            held = set(val)
            train = [image for image in train if image not in held]
        for split, ids in (("train", train), ("val", val)):
            if not ids:
                groups = f" in {len({*map(self._group_of, pairs)})} groups" if self.group else ""
                raise InputError(
                    f"data.val={self.val}: of {len(pairs)} images{groups} {split} gets none; give other ids or a share."
                )
        return {"train": train, "val": val}

    def _drawn(self, images: Sequence[str]) -> list[str]:
        """A share of the images. If a draw has left just these, its hash finds none; then another hash draws."""
        groups = [self._group_of(image) for image in images]
        left = self.val.share * len({*groups}) >= _SURPRISING and all(place(one) >= self.val.share for one in groups)
        word = "again " if left else ""
        return [image for image, one in zip(images, groups, strict=True) if place(word + one) < self.val.share]

    def _group_of(self, image: str) -> str:
        return image if self.group is None else group_of(self.group, image)


def group_of(group: str, image: str) -> str:
    """The name of an image's group: what the first group of the expression, or the whole of it, finds in the id.

    Raises:
        InputError: it finds nothing.
    """
    match = re.match(group, image)
    if match is None:
        raise InputError(f"data.group={group}: does not fit the id {image}; correct the expression.")
    found = match.group(1) if match.re.groups else match.group(0)
    if not found:
        raise InputError(f"data.group={group}: finds no group in the id {image}; correct the expression.")
    return found


def _chosen(ids: Sequence[str], patterns: Sequence[str], split: str) -> list[str]:
    """The ids that fit one of the patterns, in order; raises InputError for a pattern that fits none."""
    found: set[str] = set()
    known = set(ids)
    for pattern in patterns:
        inside = pattern.replace("/", BETWEEN)
        own = {inside} & known or {image for image in ids if fnmatchcase(image, inside)}
        if not own:
            raise InputError(f"data.{split}: '{pattern}' fits no id; there are {some(ids)}.")
        found |= own
    return [image for image in ids if image in found]


def place(name: str) -> float:
    """A number in [0, 1) that depends on the name alone: so adding images moves none from one split to the other."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64
