"""A folder in VOC's layout: the ids in a list, and how an image and its mask are read."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from src.core.errors import InputError
from src.data.classes import VOC_CLASSES, VOID, UInt8Array, unknown_labels


def decode(path: Path, *, mode: str | None = None) -> NDArray[np.generic]:
    """All pixels of an image file; a cut-off file is an error.

    Args:
        path: JPEG or PNG file.
        mode: Pillow mode to convert to ("RGB"), or None for the values as stored (a palette PNG gives its indices).

    Returns:
        (H, W) or (H, W, channels), dtype as stored: uint8 for 8-bit files.

    Raises:
        InputError: the file is missing, is not an image, or ends too early.
    """
    try:
        with Image.open(path) as image:
            pixels = np.array(image.convert(mode) if mode else image)  # a copy: torch warns of read-only arrays
            is_jpeg = image.format == "JPEG"
    except FileNotFoundError:
        raise InputError(f"{path} is missing; restore it from the archive or take its id off the list") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:  # from Pillow, by format
        raise InputError(f"{path} cannot be read ({error}); restore the file from the archive") from error
    # Pillow pads a cut-off file with grey once any library has set ImageFile.LOAD_TRUNCATED_IMAGES.
    if is_jpeg and not _ends(path.read_bytes()):
        raise InputError(f"{path} is cut off (no end-of-image marker); restore the file from the archive")
    return pixels


def decode_jpeg(path: Path) -> UInt8Array:
    """(H, W, 3) uint8 RGB of a JPEG: the same pixels as from `decode`, in four fifths of the time.

    If OpenCV cannot decode a file, `decode` tries it and reports what is wrong.
    """
    import cv2  # imported here: code that needs only class names starts faster

    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION  # pixels as stored: the masks are drawn on these
    try:
        data = path.read_bytes()
        if data.startswith(b"\xff\xd8") and _ends(data):
            pixels = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), flags)
            if pixels is not None:
                return np.asarray(pixels, dtype=np.uint8)
    except (OSError, cv2.error):
        pass
    return decode(path, mode="RGB").astype(np.uint8, copy=False)


def _ends(jpeg: bytes) -> bool:
    """Whether the last end-of-image marker follows the last start-of-scan."""
    return jpeg.rfind(b"\xff\xd9") >= jpeg.rfind(b"\xff\xda")


def check_mask(mask: NDArray[np.generic], path: Path) -> UInt8Array:
    """Return the mask, (H, W) uint8 in {0..20, 255}, if it is valid; `path` is for the message.

    Raises:
        InputError: the mask has more than one channel, not 8 bits, or a label that VOC does not have.
    """
    if mask.ndim != 2 or mask.dtype != np.uint8:
        stored = f"{mask.shape[2]} channels" if mask.ndim == 3 else f"{mask.dtype} values"
        raise InputError(
            f"{path} has {stored}, but a mask is a single-channel palette PNG whose 8-bit values are the labels; "
            f"for an RGB mask, look each colour up in src.data.classes.voc_palette() and save the row numbers"
        )
    labels = mask.astype(np.uint8, copy=False)
    if unknown := unknown_labels(labels):
        raise InputError(
            f"{path} has labels {', '.join(map(str, unknown))}, allowed are 0..{len(VOC_CLASSES) - 1} and {VOID} "
            f"(void); map them to VOC's classes or to {VOID}"
        )
    return labels


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
        candidates = (self.list_path(str(name)), Path(name))
        path = next((path for path in candidates if path.is_file()), None)
        if path is None:
            known = ", ".join(sorted(file.stem for file in self.list_path("").parent.glob("*.txt"))) or "none"
            raise InputError(f"neither {candidates[0]} nor {candidates[1]} is a list of ids; lists there: {known}")
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise InputError(f"{path} is not a text file; give a list with one image id per line") from error
        ids: dict[str, int] = {}  # with the number of the line; messages leave out the text of a file that is no list
        for number, line in enumerate(map(str.strip, lines), 1):
            if not line:
                continue
            if len(line.split()) > 1 or "/" in line:
                raise InputError(f"{path}, line {number}: write one bare id per line, such as 2007_000032")
            if line in ids:
                raise InputError(f"{path}, line {number}: the same id as in line {ids[line]}; remove one of the lines")
            ids[line] = number
        if not ids:
            raise InputError(f"{path} names no image; give a list with one image id per line")
        return list(ids)

    def image_path(self, image_id: str) -> Path:
        """The JPEG of an id, whether or not it exists."""
        return self.path / "JPEGImages" / f"{image_id}.jpg"

    def mask_path(self, image_id: str) -> Path:
        """The mask of an id: the first one that exists in the mask folders, else the path in VOC's own folder."""
        paths = [self.path / folder / f"{image_id}.png" for folder in self.masks]
        return next((path for path in paths if path.is_file()), paths[0])

    def size(self, image_id: str) -> tuple[int, int]:
        """Width and height of an image in px, from its header; raises InputError if the file is missing or broken."""
        path = self.image_path(image_id)
        try:
            with Image.open(path) as image:
                return int(image.width), int(image.height)
        except OSError as error:
            raise InputError(f"{path} cannot be read ({error}); restore the file from the archive") from error

    def read_image(self, image_id: str) -> UInt8Array:
        """(H, W, 3) uint8 RGB. Raises InputError if the file is missing, broken or cut off."""
        return decode_jpeg(self.image_path(image_id))

    def read_mask(self, image_id: str) -> UInt8Array:
        """(H, W) uint8 in {0..20, 255}. Raises InputError if the file is missing, broken or not a valid mask."""
        path = self.mask_path(image_id)
        return check_mask(decode(path), path)

    def read_pair(self, image_id: str) -> tuple[UInt8Array, UInt8Array]:
        """Image (H, W, 3) and mask (H, W), both uint8; raises InputError also if their sizes differ."""
        image, mask = self.read_image(image_id), self.read_mask(image_id)
        if image.shape[:2] != mask.shape:
            raise InputError(
                f"{self.mask_path(image_id)} is {mask.shape[1]} x {mask.shape[0]} px, but its image is "
                f"{image.shape[1]} x {image.shape[0]} px; restore both from the archive (never resize a mask)"
            )
        return image, mask

    def fingerprint(self, ids: list[str]) -> str:
        """16 hex digits that change if the list, its order, or the size of any of its files changes.

        They are the start of a SHA-256 over one line per id: id, bytes of the JPEG, bytes of the mask. Contents are not
        read, so a replaced file of equal size is not noticed; but 10,582 ids take well under a second on a local disk.
        """
        digest = hashlib.sha256()
        for image_id in ids:
            try:
                sizes = [path.stat().st_size for path in (self.image_path(image_id), self.mask_path(image_id))]
            except FileNotFoundError as error:
                raise InputError(f"{error.filename} is missing; restore it or take its id off the list") from None
            digest.update(f"{image_id} {sizes[0]} {sizes[1]}\n".encode())
        return digest.hexdigest()[:16]
