"""A folder of images and masks: where the files of an id are, and how they are read."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from src.core.errors import InputError
from src.data.classes import Classes, Labels, Pixels
from src.data.files.decoding import FileInputError, image_size, orientation, read_rgb
from src.data.files.labels import Labelling
from src.data.files.lists import find_list, read_ids
from src.data.files.patterns import Patterns

NAMED = 5  # ids in a message


@dataclass(frozen=True)
class ImageFolder:
    """Images and their masks; which of them belong together, the patterns say.

    Attributes:
        path: the folder itself.
        images: where the images are.
        masks: where the masks are.
        labelling: what the pixels of the masks mean.
        unpaired: whether images without a mask, and masks without an image, are left out instead of an error.
        white: the value of white in images of more than 8 bits; None: there are none.
    """

    path: Path
    images: Patterns
    masks: Patterns
    labelling: Labelling
    unpaired: bool = False
    white: int | None = None

    @property
    def classes(self) -> Classes:
        """Those of the labels."""
        return self.labelling.classes

    def ids(self, name: str | Path) -> list[str]:
        """The ids in a list, see `find_list` and `read_ids`."""
        path = find_list(self.path, name)
        ids = read_ids(path)
        for number, image_id in enumerate(ids, 1):  # VOC's lists of single classes have a second column
            if " " in image_id and not self.image_path(image_id).is_file():
                raise InputError(f"{path}, line {number}: write one bare id per line, such as 2007_000032")
        return ids

    def pairs(self) -> list[str]:
        """The ids of all images that have a mask, in order.

        Raises:
            InputError: there are none, or an image has no mask, or a mask no image, and `unpaired` is false.
        """
        images, masks = self.images.found, self.masks.found
        for found, patterns in ((images, self.images), (masks, self.masks)):
            if not found:
                raise InputError(f"{patterns.key}={patterns}: fits no file below {self.path}; correct the pattern.")
        both = [image_id for image_id in images if image_id in masks]
        lonely = (
            ([one for one in images if one not in masks], "image", "without a mask"),
            ([one for one in masks if one not in images], "mask", "without an image"),
        )
        alone = [
            f"{len(ids)} {noun}{'s' * (len(ids) > 1)} {lacking} ({some(ids)})" for ids, noun, lacking in lonely if ids
        ]
        if alone and not self.unpaired:
            raise InputError(
                f"{' and '.join(alone)}, below {self.path}; add or remove files, correct data.images or data.masks, or "
                "leave them out with data.unpaired=ignore."
            )
        if not both:
            raise InputError(f"no image has a mask: {' and '.join(alone)}, below {self.path}; correct the patterns.")
        return both

    def image_path(self, image_id: str) -> Path:
        """The image of an id, whether or not it exists."""
        return self.images.path(image_id)

    def mask_path(self, image_id: str) -> Path:
        """The mask of an id: the first one that exists, or the first one that could be."""
        return self.masks.path(image_id)

    def size(self, image_id: str) -> tuple[int, int]:
        """Width and height of an image in px, from its header; raises InputError if the file is missing or broken."""
        return image_size(self.image_path(image_id))

    def read_image(self, image_id: str) -> Pixels:
        """(H, W, 3) uint8 RGB; see `read_rgb`."""
        return read_rgb(self.image_path(image_id), white=self.white)

    def read_mask(self, image_id: str) -> Labels:
        """(H, W) labels; see `Labelling.read`."""
        return self.labelling.read(self.mask_path(image_id))

    def read_pair(self, image_id: str) -> tuple[Pixels, Labels]:
        """Image (H, W, 3) and mask (H, W); raises InputError also if their sizes differ."""
        image, mask = self.read_image(image_id), self.read_mask(image_id)
        self.check_sizes(image_id, image, mask)
        return image, mask

    def check_sizes(self, image_id: str, image: Pixels, mask: Labels) -> None:
        """Raise InputError unless the image (H, W, 3) and the mask (H, W) have the same size."""
        if image.shape[:2] == mask.shape:
            return
        path = self.image_path(image_id)
        sizes = (
            f"{self.mask_path(image_id)} is {mask.shape[1]} x {mask.shape[0]} px, but its image is "
            f"{image.shape[1]} x {image.shape[0]} px"
        )
        if image.shape[1::-1] == mask.shape and orientation(path) >= 5:
            raise FileInputError(
                f"{sizes}: the mask was drawn on the picture as its EXIF flag turns it, but pixels are read as stored; "
                f"turn the pixels of {path.name} and remove the flag",
                kind="drawn on a picture that an EXIF flag turns",
            )
        raise FileInputError(
            f"{sizes}; restore both from the archive (never resize a mask)", kind="of another size than the image"
        )

    def fingerprint(self, ids: Sequence[str]) -> str:
        """16 hex digits that change if the list, its order, or the size of any of its files changes.

        They are the start of a SHA-256 over one line per id: id, bytes of the image, bytes of the mask. Contents are
        not read, so a replaced file of equal size is not noticed; but 10,582 ids take well under a second on a local
        disk.
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


def some(ids: Sequence[str]) -> str:
    """The first ids, for a message."""
    return ", ".join(ids[:NAMED]) + (", ..." if len(ids) > NAMED else "")
