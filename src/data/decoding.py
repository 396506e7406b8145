"""Pixels of image files. What is damaged, cut off or ambiguous is an error that names the file."""

from __future__ import annotations

import io
import stat
import struct
import zlib
from functools import cache
from pathlib import Path

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from src.core.errors import InputError
from src.data.classes import VOC_CLASSES, VOID, UInt8Array, unknown_labels, voc_palette

LARGEST = 2**30 // 12  # px of an image, 89 million, as in Pillow
BYTES = 2**30  # of a file
_PNG = b"\x89PNG\r\n\x1a\n"
_BROKEN = "unreadable or cut off"
_WIDE = ("I", "F")  # Pillow's modes of more than 8 bits; "I;16" and the like begin with the same letter


class FileInputError(InputError):
    """A bad file; `kind` is what to call several of them, as in "3 files missing"; `detail` is about this one."""

    def __init__(self, message: str, *, kind: str = _BROKEN, detail: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.detail = detail


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
    with _opened(read_bytes(path), path) as image:
        return int(image.width), int(image.height)


def read_rgb(path: Path) -> UInt8Array:
    """(H, W, 3) uint8 RGB of an image, the pixels as stored: the masks are drawn on these, without EXIF's rotation.

    Raises:
        InputError: the file is missing, is not an image, is damaged or cut off (also where a decoder only warns), has
            no pixels or too many, or has grey values of more than 8 bits.
    """
    data = read_bytes(path)
    pixels = _read_jpeg(data, path) if data.startswith(b"\xff\xd8") else None
    return _decoded(data, path, mode="RGB").astype(np.uint8, copy=False) if pixels is None else pixels


def read_labels(path: Path) -> UInt8Array:
    """(H, W) uint8 in {0..20, 255} of a mask.

    Raises:
        InputError: as `read_rgb` and `check_mask`; also if it is not a PNG, or if its palette shows that its labels do
            not have VOC's order.
    """
    data = read_bytes(path)
    if not data.startswith(_PNG):
        raise FileInputError(f"{path} is not a PNG; restore the file from the archive (other formats change labels)")
    depth, kind, palette = _check_png(data, path)
    if kind == 0 and depth < 8:  # Pillow multiplies such values: of 4 bits, 1 becomes 17
        raise _not_a_mask(path, f"grey values of {depth} bits")
    mask = check_mask(_decoded(data, path), path)
    if palette and (wrong := _misplaced(mask, palette)):
        label, other = wrong
        name = "void" if other == VOID else VOC_CLASSES[other]
        raise FileInputError(
            f"{path}: its palette gives label {label} the colour of {name}, which is {other}, so a program has sorted "
            f"the palette anew; look each colour up in src.data.classes.voc_palette() and save the row numbers, or "
            f"save the mask without palette if its labels are right",
            kind="whose palette gives a label another one's colour",
            detail=f"{label} is coloured as {name}",
        )
    return mask


def check_mask(mask: NDArray[np.generic], path: Path) -> UInt8Array:
    """Return the mask, (H, W) uint8 in {0..20, 255}, if it is valid; `path` is for the message.

    Raises:
        InputError: the mask has more than one channel, not 8 bits, or a label that VOC does not have.
    """
    if mask.ndim != 2 or mask.dtype != np.uint8:
        raise _not_a_mask(path, f"{mask.shape[2]} channels" if mask.ndim == 3 else f"{mask.dtype} values")
    labels = mask.astype(np.uint8, copy=False)
    if unknown := unknown_labels(labels):
        raise FileInputError(
            f"{path} has labels {', '.join(map(str, unknown))}, allowed are 0..{len(VOC_CLASSES) - 1} and {VOID} "
            f"(void); map them to VOC's classes or to {VOID}",
            kind=f"with labels outside 0..{len(VOC_CLASSES) - 1} and {VOID}",
            detail=", ".join(map(str, unknown[:3])),
        )
    return labels


def _not_a_mask(path: Path, stored: str) -> FileInputError:
    return FileInputError(
        f"{path} has {stored}, but a mask is a single-channel palette PNG whose 8-bit values are the labels; "
        f"for an RGB mask, look each colour up in src.data.classes.voc_palette() and save the row numbers",
        kind="not single-channel 8-bit masks (RGB?)",
    )


def _misplaced(mask: UInt8Array, palette: bytes) -> tuple[int, int] | None:
    """The first label that the palette gives the colour of another class or of void, and that other label.

    Black is no evidence: it fills the rest of palettes that have nothing to do with VOC's.
    """
    if _colours().startswith(palette):
        return None
    used = np.bincount(mask.ravel(), minlength=256)[: len(palette) // 3].nonzero()[0].tolist()
    found = ((label, _owners().get(palette[3 * label : 3 * label + 3], label)) for label in used)
    return next(((label, owner) for label, owner in found if owner not in (0, label)), None)


@cache
def _colours() -> bytes:
    return voc_palette().tobytes()


@cache
def _owners() -> dict[bytes, int]:
    """RGB to the class, or void, that VOC paints with it."""
    return {_colours()[3 * label : 3 * label + 3]: label for label in (*range(len(VOC_CLASSES)), VOID)}


def _read_jpeg(data: bytes, path: Path) -> UInt8Array | None:
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


def _decoded(data: bytes, path: Path, *, mode: str | None = None) -> NDArray[np.generic]:
    """Pillow's pixels, (H, W) or (H, W, channels); without mode the values as stored, so a palette PNG's indices."""
    with _opened(data, path) as image:
        if mode and image.mode.startswith(_WIDE):
            raise FileInputError(
                f"{path} has grey values of more than 8 bits, and which of them is white is not known; save it with 8 "
                "bits per channel",
                kind="with more than 8 bits per value",
            )
        if image.format == "JPEG" and data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda"):
            # Pillow pads a cut-off file with grey once any library has set ImageFile.LOAD_TRUNCATED_IMAGES.
            raise FileInputError(f"{path} is cut off (no end-of-image marker); restore the file from the archive")
        try:
            return np.array(image.convert(mode) if mode else image)  # a copy: torch warns of read-only arrays
        except (OSError, SyntaxError, ValueError, struct.error) as error:  # from Pillow, by format
            raise _damaged(path, error) from error


def _opened(data: bytes, path: Path) -> Image.Image:
    """An image whose header is read, with a size that may be decoded."""
    if data.startswith(_PNG):
        _check_png(data, path)
    try:
        image = Image.open(io.BytesIO(data))
    except UnidentifiedImageError:
        raise FileInputError(
            f"{path} cannot be read (it is empty or not an image); restore the file from the archive"
        ) from None
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
        raise FileInputError(f"{path} is {width} x {height} px, so it has no pixels; restore the file from the archive")
    if width * height > LARGEST:
        raise FileInputError(
            f"{path} is {width} x {height} px, more than {LARGEST / 1e6:.0f} million; scale image and mask down"
        )


def _check_png(data: bytes, path: Path) -> tuple[int, int, bytes]:
    """Bits per value, colour type and palette of a PNG whose checksums are right; Pillow does not compare all of them.

    Returns:
        The colour type is that of the PNG specification, section 11.2.1: 0 is grey. The palette is RGB, or empty.
    """
    parts: dict[bytes, bytes] = {}
    at = len(_PNG)
    while b"IEND" not in parts:
        length, name = struct.unpack(">I4s", data[at : at + 8].ljust(8, b"\0"))
        content, checksum = data[at + 8 : at + 8 + length], data[at + 8 + length : at + 12 + length]
        if zlib.crc32(name + content).to_bytes(4, "big") != checksum:
            raise _damaged(path, "a checksum is wrong or the end is missing")
        parts[name] = content if name in (b"IHDR", b"PLTE") else b""
        at += 12 + length
    header = parts.get(b"IHDR", b"")
    if len(header) != 13:
        raise _damaged(path, "it has no header")
    width, height = struct.unpack(">II", header[:8])
    _check_size(width, height, path)
    return header[8], header[9], parts.get(b"PLTE", b"")


def _damaged(path: Path, reason: object) -> FileInputError:
    return FileInputError(f"{path} is damaged or cut off ({reason}); restore the file from the archive")
