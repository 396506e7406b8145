"""Decoded images in memory shared by all data workers: an image is decoded once per training, not once per epoch."""

import mmap
import multiprocessing
from collections.abc import Sequence

import numpy as np

from src.data.classes import Labels, Pixels, label_type
from src.data.files.folder import ImageFolder


class PixelCache:
    """Reads pairs as `ImageFolder` does, and keeps as many as there is room for.

    The memory is an anonymous mapping. Forked workers share it, and the system provides pages as they are written. It
    needs no file, leaves nothing behind, and /dev/shm does not limit it.

    Args:
        folder: where the images are read from.
        ids: of the images to keep.
        limit: largest number of bytes of pixels.
    """

    def __init__(self, folder: ImageFolder, ids: Sequence[str], *, limit: int) -> None:
        self.folder = folder
        self.kind = np.dtype(label_type(len(folder.classes)))  # of the masks
        self.each = 3 + self.kind.itemsize  # bytes of a pixel of image and mask
        self.index = {image_id: i for i, image_id in enumerate(dict.fromkeys(ids))}
        self.need = _estimate(folder, list(self.index), self.each)
        room = max(mmap.PAGESIZE, min(limit, int(self.need * 1.2)))  # 1.2: the need is only estimated
        self._pixels = np.frombuffer(mmap.mmap(-1, room), dtype=np.uint8)
        table = mmap.mmap(-1, max(1, len(self.index)) * 3 * 8)
        self._table = np.frombuffer(table, dtype=np.int64).reshape(-1, 3)  # start, height, width; height 0: not kept
        self._used = np.frombuffer(mmap.mmap(-1, 8), dtype=np.int64)
        self._lock = multiprocessing.Lock()

    @staticmethod
    def is_shared(workers: int) -> bool:
        """Whether so many workers would share the memory: yes if they are forked, or if there are none."""
        return workers == 0 or multiprocessing.get_start_method() == "fork"

    @property
    def used(self) -> int:
        """Bytes of pixels kept so far."""
        return int(self._used[0])

    def read_pair(self, image_id: str) -> tuple[Pixels, Labels]:
        """As `ImageFolder.read_pair`; the caller may change the arrays."""
        row = self._table[self.index[image_id]]
        with self._lock:
            start, height, width = row.tolist()
        if height:
            area = height * width
            kept = self._pixels[start : start + self.each * area]
            mask = kept[3 * area :].copy().view(self.kind)
            return kept[: 3 * area].reshape(height, width, 3).copy(), mask.reshape(height, width)
        rgb, mask = self.folder.read_pair(image_id)
        with self._lock:
            start, size = self.used, self.each * mask.size
            if row[1] == 0 and start + size <= len(self._pixels):  # no other worker was faster, and there is room
                self._pixels[start : start + 3 * mask.size] = rgb.ravel()
                self._pixels[start + 3 * mask.size : start + size] = np.ascontiguousarray(mask).view(np.uint8).ravel()
                self._used[0] += size
                row[:] = start, *mask.shape
        return rgb, mask

    def __str__(self) -> str:
        limit = len(self._pixels)
        need = f"decoded images stay in memory, about {self.need / 1e9:.2f} GB"
        return need if self.need <= limit else f"{need}; room for {limit / 1e9:.2f} GB of it (trainer.cache=GB)"


def _estimate(folder: ImageFolder, ids: list[str], each: int, *, looked_at: int = 32) -> int:
    """Bytes of all images, estimated from a few of them."""
    some = ids[:: max(1, len(ids) // looked_at)]
    pixels = [width * height for width, height in map(folder.size, some)]
    return int(np.mean(pixels) * each * len(ids)) if pixels else 0
