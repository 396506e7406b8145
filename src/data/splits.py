"""Which images of a data set are trained on and which are scored, and a hash of them. Imports no torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from src.core.errors import InputError
from src.core.files import only_reading
from src.data.folder import VOCFolder
from src.data.sources.table import source_of

Lists = Mapping[str, tuple[str, int | None]]


@dataclass(frozen=True)
class Splits:
    """The lists of a data set.

    Attributes:
        folder: where the data is.
        lists: "train" and "val" to a list, see `VOCFolder.ids`, and a number: only the first so many ids; None: all.
        left_out: per tuned preset, the images it was tuned on; they are left out of val.
    """

    folder: VOCFolder
    lists: Lists
    left_out: Mapping[str, frozenset[str]]

    def ids(self, split: str) -> list[str]:
        """Ids of "train" or "val" within the limit; val without the images that are left out."""
        name, limit = self.lists[split]
        found = self.folder.ids(name)[:limit]
        if split == "train":
            return found
        kept = [image for image in found if not any(image in tuned for tuned in self.left_out.values())]
        if found and not kept:
            raise InputError(f"crf={', '.join(self.left_out)}: was tuned on all of '{name}'; none is left to score.")
        return kept

    def fingerprint(self, split: str) -> str:
        """A hash of ids and file sizes; it shows whether two runs saw the same data."""
        return self.folder.fingerprint(self.ids(split))


def lists_of(data: DictConfig) -> Lists:
    """The lists that the group `data` of a config names."""
    return {"train": (data.train_list, data.train_limit), "val": (data.val_list, data.val_limit)}


def found_splits(data: DictConfig, left_out: Mapping[str, frozenset[str]]) -> Splits | None:
    """The lists of the data that a config names, if it is already there; nothing is made or downloaded."""
    try:
        path = only_reading(source_of(data))(root=Path(data.root))
    except InputError:
        return None
    return Splits(VOCFolder(path), lists_of(data), left_out)
