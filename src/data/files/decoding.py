"""Pixels of image files. What is damaged, cut off or ambiguous is an error that names the file."""

from __future__ import annotations

import io
import stat
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from src.core.errors import InputError
from src.data.classes import Pixels

LARGEST = 2**30 // 12  # px of an image, 89 million, as in Pillow
BYTES = 2**30  # of a file
PNG = b"\x89PNG\r\n\x1a\n"
_BROKEN = "unreadable or cut off"
WIDE = ("I", "F")  # Pillow's modes of more than 8 bits; "I;16" and the like begin with the same letter


class FileInputError(InputError):
    """A bad file.

    `kind` is what to call several of them, as in "3 files missing"; `detail` is about this one; `advice` is a way out
    for all of them.
    """

    def __init__(self, message: str, *, kind: str = _BROKEN, detail: str = "", advice: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.detail = detail
        self.advice = advice


def read_bytes(path: Path, *, limit: int = BYTES) -> bytes:
    """The content of a regular file; a pipe or device, from which reading may never end, is an error."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            what = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe, socket or device"
            raise FileInputError(f"{path} is {what}, not a file; put the file in its place or take its id off the list")
        if status.st_size > limit:
            raise FileInputError(f"{path} has {status.st_size:,} bytes, more than {limit:,}: it is not such a file")
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise FileInputError(
            f"{path} is missing; restore it from the archive or take its id off the list", kind="missing"
        ) from None
    except OSError as error:
        raise FileInputError(f"{path} cannot be read ({error.strerror}); check its rights and links") from error


def image_size(path: Path) -> tuple[int, int]:
    """Width and height of an image in px, from its header; raises as `read_rgb`."""
    with opened(read_bytes(path), path) as image:
        return int(image.width), int(image.height)


def read_rgb(path: Path, *, white: int | None = None) -> Pixels:
    """(H, W, 3) uint8 RGB of an image, the pixels as stored: the masks are drawn on these, without EXIF's rotation.

    Args:
        path: of the file.
        white: the value of white in images of more than 8 bits; they are scaled and rounded to 0..255.

    Raises:
        InputError: the file is missing, is not an image, is damaged or cut off (also where a decoder only warns), has
            no pixels, too many, or several pages, or has values of more than 8 bits and `white` is not known.
    """
    return rgb_of(read_bytes(path), path, white=white)


def rgb_of(data: bytes, path: Path, *, white: int | None, key: str = "data.white") -> Pixels:
    """The same of a file's content; `path` and `key`, that of `white` in a config, are for messages."""
    pixels = _read_jpeg(data, path) if data.startswith(b"\xff\xd8") else None
    if pixels is not None:
        return pixels
    with opened(data, path) as image:
        if bits(image, data) > 8:
            check_one_page(image, path)
            return _read_wide(data, path, white, key)
        return decoded(image, data, path, mode="RGB").astype(np.uint8, copy=False)


def largest_value(path: Path) -> int | None:
    """The largest value of an image with more than 8 bits per value; None for others."""
    data = read_bytes(path)
    with opened(data, path) as image:
        if bits(image, data) <= 8:
            return None
    return int(_wide(data, path).max(initial=0))


def orientation(file: Path | io.BytesIO) -> int:
    """EXIF's orientation of an image that can be read: 1 as stored, 5 to 8 turned by 90 degrees; 1 if it has none."""
    try:
        with Image.open(file) as image:  # the header alone
            return int(image.getexif().get(0x112, 1))
    except Exception:  # on damaged EXIF, which says nothing about the pixels, Pillow may raise anything
        return 1


def has_alpha(data: bytes) -> bool:
    """Whether an image that can be read has transparent pixels, as far as its header tells."""
    with Image.open(io.BytesIO(data)) as image:
        return image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info


def _read_jpeg(data: bytes, path: Path) -> Pixels | None:
    """(H, W, 3) uint8 RGB, the same pixels as Pillow's; None: for Pillow, which reads more varieties.

    Damaged scans decode to something; libjpeg only warns of them. Pillow and OpenCV drop these warnings.
    """
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data, strict=False)
    except (KeyError, ValueError):  # KeyError: a subsampling that it does not know
        return None
    _check_size(width, height, path)
    is_printed = colours in ("CMYK", "YCCK")
    try:
        pixels = simplejpeg.decode_jpeg(data, "CMYK" if is_printed else "RGB", strict=True)
    except ValueError as error:
        raise _damaged(path, error) from error
    return None if is_printed else pixels


def decoded(image: Image.Image, data: bytes, path: Path, *, mode: str | None = None) -> NDArray[Any]:
    """Pillow's pixels, (H, W) or (H, W, channels); without mode the values as stored, so a palette PNG's indices."""
    if image.format == "JPEG" and data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda"):
        # Pillow pads a cut-off file with grey once any library has set ImageFile.LOAD_TRUNCATED_IMAGES.
        raise FileInputError(f"{path} is cut off (no end-of-image marker); get the file anew")
    check_one_page(image, path)
    try:
        return np.array(image.convert(mode) if mode else image)  # a copy: torch warns of read-only arrays
    except (OSError, SyntaxError, ValueError, struct.error) as error:  # from Pillow, by format
        raise _damaged(path, error) from error


def check_one_page(image: Image.Image, path: Path) -> None:
    """Raise InputError for a file of several images; a JPEG of a phone may hold more than one view of the same."""
    try:
        pages = getattr(image, "n_frames", 1)  # of a TIFF, this reads the headers of all pages
    except Exception as error:  # on damaged ones, Pillow may raise anything
        raise _damaged(path, error) from error
    if image.format != "MPO" and pages > 1:
        raise FileInputError(
            f"{path} has {pages} pages, but a file holds one image; save each page", kind="of many pages"
        )


def bits(image: Image.Image, data: bytes) -> int:
    """Bits of a value; Pillow itself makes 8 of 16 in colour images, by leaving out the lower ones."""
    if data.startswith(PNG):
        return data[24]
    stored = image.tag_v2.get(258, 8) if image.format == "TIFF" else 8  # type: ignore[attr-defined]
    deepest = max(stored) if isinstance(stored, tuple) else int(stored)
    return max(deepest, 16 if image.mode.startswith(WIDE) else 8)


def _read_wide(data: bytes, path: Path, white: int | None, key: str) -> Pixels:
    """(H, W, 3) uint8 of an image with more than 8 bits per value."""
    if white is None:
        raise FileInputError(
            f"{path} has values of more than 8 bits, and which of them is white is not known; give it, such as "
            f"{key}=65535, or save it with 8 bits",
            kind=f"with more than 8 bits per value ({key}=65535 reads them)",
        )
    found = _wide(data, path)
    if (largest := int(found.max(initial=0))) > white:
        raise FileInputError(
            f"{path} has values up to {largest}, above {key}={white}; give the largest value of all images",
            kind=f"with values above {key}={white}",
            detail=f"up to {largest}",
        )
    colours = (
        found[..., 2::-1] if found.ndim == 3 and found.shape[2] >= 3 else np.repeat(np.atleast_3d(found)[..., :1], 3, 2)
    )
    return np.ascontiguousarray(np.rint(colours.astype(np.float32) * (255 / white)).astype(np.uint8))


def _wide(data: bytes, path: Path) -> NDArray[Any]:
    """(H, W) or (H, W, channels), blue first, as stored."""
    import cv2  # imported here: it is slow to import, and few images are of this kind

    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if found is None or found.dtype != np.uint16 or (found.ndim == 3 and found.shape[2] not in (1, 3, 4)):
        raise FileInputError(f"{path} has values that are not whole numbers of 16 bits; save it as grey or RGB")
    return np.asarray(found)


def opened(data: bytes, path: Path) -> Image.Image:
    """An image whose header is read, with a size that may be decoded."""
    if data.startswith(PNG):
        check_png(data, path)
    try:
        image = Image.open(io.BytesIO(data))
    except UnidentifiedImageError:
        raise FileInputError(f"{path} cannot be read (it is empty or not an image); get the file anew") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise FileInputError(
            f"{path} has more than {LARGEST / 1e6:.0f} million px; scale image and mask down"
        ) from None
    except (OSError, SyntaxError, ValueError, struct.error) as error:  # from Pillow, by format
        raise _damaged(path, error) from error
    _check_size(image.width, image.height, path)
    return image


def _check_size(width: int, height: int, path: Path) -> None:
    if width < 1 or height < 1:
        raise FileInputError(f"{path} is {width} x {height} px, so it has no pixels; get the file anew")
    if width * height > LARGEST:
        raise FileInputError(
            f"{path} is {width} x {height} px, more than {LARGEST / 1e6:.0f} million; scale image and mask down"
        )


def check_png(data: bytes, path: Path) -> int:
    """Bits per value of a PNG whose checksums are right; Pillow does not compare all of them."""
    parts: dict[bytes, bytes] = {}
    at = len(PNG)
    while b"IEND" not in parts:
        length, name = struct.unpack(">I4s", data[at : at + 8].ljust(8, b"\0"))
        content, checksum = data[at + 8 : at + 8 + length], data[at + 8 + length : at + 12 + length]
        if zlib.crc32(name + content).to_bytes(4, "big") != checksum:
            raise _damaged(path, "a checksum is wrong or the end is missing")
        parts[name] = content if name == b"IHDR" else b""
        at += 12 + length
    header = parts.get(b"IHDR", b"")
    if len(header) != 13:
        raise _damaged(path, "it has no header")
    width, height = struct.unpack(">II", header[:8])
    _check_size(width, height, path)
    return header[8]


def _damaged(path: Path, reason: object) -> FileInputError:
    return FileInputError(f"{path} is damaged or cut off ({reason}); get the file anew")
