"""The pixels of a mask's file as they are stored: values, indices of a palette, or colours."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from src.data.classes import Pixels
from src.data.files.decoding import PNG, FileInputError, bits, check_png, decoded, opened, read_bytes

_LOSSLESS = ("PNG", "TIFF", "BMP", "WEBP", "GIF")  # TIFF and WebP have lossy varieties
_LOSSY_TIFF = (6, 7, 34712, 34892, 34933, 34934, 50001, 50002)  # compressions of the family of JPEG and WebP, tag 259


@dataclass(frozen=True)
class Stored:
    """The pixels of a mask's file as they are stored.

    Attributes:
        pixels: (H, W) or (H, W, channels).
        mode: Pillow's name of what they are.
        palette: RGB of the values 0, 1, ..., one byte each; empty if there is none.
    """

    pixels: NDArray[Any]
    mode: str
    palette: bytes

    def colours(self, path: Path) -> Pixels:
        """(H, W, 3) uint8 RGB; raises InputError for pixels that have no such colour, or are transparent."""
        if self.pixels.dtype == bool:
            return np.asarray(np.stack([self.pixels] * 3, axis=-1).astype(np.uint8) * np.uint8(255))
        if self.pixels.dtype != np.uint8:
            raise FileInputError(
                f"{path} has {self.pixels.dtype} values, but colours have 8 bits.", kind="not of 8 bits"
            )
        if self.mode == "P":
            palette = np.frombuffer(self.palette.ljust(768, b"\0"), dtype=np.uint8).reshape(-1, 3)
            return np.asarray(palette[self.pixels])
        if self.pixels.ndim == 2:
            return np.stack([self.pixels] * 3, axis=-1)
        if self.mode in ("RGBA", "LA"):
            if (self.pixels[..., -1] != 255).any():
                raise FileInputError(f"{path} has transparent pixels; save it without alpha.", kind="transparent")
            return np.broadcast_to(self.pixels[..., :-1], (*self.pixels.shape[:2], 3))
        if self.mode != "RGB":
            raise FileInputError(f"{path} has colours of the kind {self.mode}; save it as RGB.", kind="not of RGB")
        return self.pixels


def read_stored(path: Path) -> Stored:
    """The pixels of a mask's file, of any lossless format.

    Raises:
        InputError: as `read_rgb`; also if the format is lossy: compression makes labels that nobody drew.
    """
    data = read_bytes(path)
    with opened(data, path) as image:
        if _is_lossy(image, data):
            raise FileInputError(
                f"{path} is of a lossy format ({image.format}), whose compression makes labels that nobody drew; take "
                f"the original mask, or draw it as {', '.join(_LOSSLESS)}",
                kind="of a lossy format",
                advice="their compression makes labels that nobody drew: take the original masks",
            )
        pixels = decoded(image, data, path)
        if pixels.ndim == 3 and bits(image, data) > 8:
            raise FileInputError(
                f"{path} has colours of 16 bits; save it with 8 bits per channel", kind="not of 8 bits"
            )
        if data.startswith(PNG) and image.mode == "L" and (depth := check_png(data, path)) < 8:
            pixels = pixels // (255 // (2**depth - 1))  # Pillow multiplies such values: of 4 bits, 1 becomes 17
        if image.format == "WEBP" and (pixels[..., :1] == pixels[..., :3]).all():
            return Stored(pixels[..., 0], "L", b"")  # the format has no grey pictures
        return Stored(pixels, image.mode, bytes(image.getpalette("RGB") or []) if image.mode == "P" else b"")


def _is_lossy(image: Image.Image, data: bytes) -> bool:
    """Whether a file may hold other pixels than were drawn."""
    if image.format == "WEBP":
        return not _is_lossless_webp(data)
    if image.format == "TIFF":
        return image.tag_v2.get(259, 1) in _LOSSY_TIFF  # type: ignore[attr-defined]
    return image.format not in _LOSSLESS


def _is_lossless_webp(data: bytes) -> bool:
    """Whether the picture of a WebP file is in a chunk `VP8L`; colour profiles may stand before it."""
    at = 12
    while at + 8 <= len(data):
        name, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if name in (b"VP8L", b"VP8 "):
            return name == b"VP8L"
        at += 8 + length + length % 2
    return False
