"""A folder in VOC's layout: the ids in its lists, which of them are used, and how an image and its mask are read."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from src.core.errors import InputError
from src.data.classes import UInt8Array
from src.data.decoding import FileInputError, image_size, read_bytes, read_labels, read_rgb

Lists = Mapping[str, tuple[str, "int | None"]]
LIST_BYTES = 2**26  # of a list of ids: three million of them


@dataclass(frozen=True)
class VOCFolder:
    """A `VOC2012` folder: `JPEGImages`, mask folders and `ImageSets/Segmentation`.

    Attributes:
        path: the `VOC2012` folder itself.
        masks: names of the mask folders, searched in this order; so VOC's own mask is preferred to SBD's.
    """

    path: Path
    masks: tuple[str, ...] = ("SegmentationClass", "SegmentationClassAug")

    def list_path(self, name: str) -> Path:
        """The path of the list called `name`, whether or not it exists."""
        return self.path / "ImageSets" / "Segmentation" / f"{name}.txt"

    def ids(self, name: str | Path) -> list[str]:
        """Image ids in the order of the list, without blank lines.

        Args:
            name: a list of `ImageSets/Segmentation` without `.txt`, or the path of a text file with one id per line.

        Raises:
            InputError: the list is missing or empty, has an id twice, or a line that is not an id.
        """
        path = self._find_list(name)
        data = read_bytes(path, limit=LIST_BYTES)
        try:
            text = data.decode("utf-8-sig").replace("\r\n", "\n")
        except UnicodeDecodeError as error:
            raise InputError(f"{path} is not a text file; give a list with one image id per line") from error
        if "\0" in text:
            raise InputError(f"{path} is not a text file; give a list with one image id per line")
        ids: dict[str, int] = {}  # with the number of the line; messages leave out the text of a file that is no list
        for number, line in enumerate(text.split("\n"), 1):
            image_id = line.strip(" \t\r\f")
            if not image_id:
                continue
            if not _is_id(image_id):
                raise InputError(f"{path}, line {number}: write one bare id per line, such as 2007_000032")
            if image_id in ids:
                raise InputError(
                    f"{path}, line {number}: the same id as in line {ids[image_id]}; remove one of the lines"
                )
            ids[image_id] = number
        if not ids:
            raise InputError(f"{path} names no image; give a list with one image id per line")
        return list(ids)

    def _find_list(self, name: str | Path) -> Path:
        """The list's file; what is there but no regular file, such as a pipe, is left to `read_bytes`."""
        candidates = (self.list_path(str(name)), Path(name))
        for is_there in (Path.is_file, lambda path: path.exists() and not path.is_dir()):
            for path in candidates:
                try:
                    if is_there(path):
                        return path
                except (OSError, ValueError):  # a name that no file can have
                    continue
        known = ", ".join(sorted(file.stem for file in self.list_path("").parent.glob("*.txt"))) or "none"
        raise InputError(f"neither {candidates[0]} nor {candidates[1]} is a list of ids; lists there: {known}")

    def image_path(self, image_id: str) -> Path:
        """The JPEG of an id, whether or not it exists."""
        return self.path / "JPEGImages" / f"{image_id}.jpg"

    def mask_path(self, image_id: str) -> Path:
        """The mask of an id: the first one that exists in the mask folders, else the path in VOC's own folder."""
        paths = [self.path / folder / f"{image_id}.png" for folder in self.masks]
        return next((path for path in paths if path.is_file()), paths[0])

    def size(self, image_id: str) -> tuple[int, int]:
        """Width and height of an image in px, from its header; raises InputError if the file is missing or broken."""
        return image_size(self.image_path(image_id))

    def read_image(self, image_id: str) -> UInt8Array:
        """(H, W, 3) uint8 RGB. Raises InputError if the file is missing, broken or cut off."""
        return read_rgb(self.image_path(image_id))

    def read_mask(self, image_id: str) -> UInt8Array:
        """(H, W) uint8 in {0..20, 255}. Raises InputError if the file is missing, broken or not a valid mask."""
        return read_labels(self.mask_path(image_id))

    def read_pair(self, image_id: str) -> tuple[UInt8Array, UInt8Array]:
        """Image (H, W, 3) and mask (H, W), both uint8; raises InputError also if their sizes differ."""
        image, mask = self.read_image(image_id), self.read_mask(image_id)
        self.check_sizes(image_id, image, mask)
        return image, mask

    def check_sizes(self, image_id: str, image: UInt8Array, mask: UInt8Array) -> None:
        """Raise InputError unless the image (H, W, 3) and the mask (H, W) have the same size."""
        if image.shape[:2] != mask.shape:
            raise FileInputError(
                f"{self.mask_path(image_id)} is {mask.shape[1]} x {mask.shape[0]} px, but its image is "
                f"{image.shape[1]} x {image.shape[0]} px; restore both from the archive (never resize a mask)",
                kind="of another size than the image",
            )

    def fingerprint(self, ids: list[str]) -> str:
        """16 hex digits that change if the list, its order, or the size of any of its files changes.

        They are the start of a SHA-256 over one line per id: id, bytes of the JPEG, bytes of the mask. Contents are not
        read, so a replaced file of equal size is not noticed; but 10,582 ids take well under a second on a local disk.
        """
        digest = hashlib.sha256()
        for image_id in ids:
            try:
                sizes = [path.stat().st_size for path in (self.image_path(image_id), self.mask_path(image_id))]
            except OSError as error:
                problem = "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
                raise InputError(f"{error.filename} {problem}; restore it or take its id off the list") from None
            digest.update(f"{image_id} {sizes[0]} {sizes[1]}\n".encode())
        return digest.hexdigest()[:16]


def _is_id(text: str) -> bool:
    """Whether a text can be the name of a file without its ending: nothing that leads elsewhere or cannot be shown."""
    return text.isprintable() and text not in (".", "..") and not set(text) & set("/\\ ") and len(text.encode()) <= 250


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
