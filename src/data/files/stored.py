"""The pixels of a mask's file as they are stored: values, indices of a palette, or colours."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from src.data.classes import Pixels
from src.data.files.decoding import PNG, FileInputError, check_png, decoded, opened, read_bytes


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
    if data.startswith(b"\xff\xd8") or (data[8:12] == b"WEBP" and data[12:16] != b"VP8L" and b"VP8L" not in data[:64]):
        raise FileInputError(
            f"{path} is a JPEG or a lossy WebP, whose compression makes labels that nobody drew; take the original "
            "mask, or draw it as PNG",
            kind="of a lossy format",
            advice="their compression makes labels that nobody drew: take the original masks",
        )
    with opened(data, path) as image:
        pixels = decoded(image, data, path)
        if data.startswith(PNG) and image.mode == "L" and (depth := check_png(data, path)) < 8:
            pixels = pixels // (255 // (2**depth - 1))  # Pillow multiplies such values: of 4 bits, 1 becomes 17
        return Stored(pixels, image.mode, bytes(image.getpalette("RGB") or []) if image.mode == "P" else b"")
