"""PASCAL VOC2012 segmentation: where it lies, and how it comes there."""

from __future__ import annotations

from pathlib import Path

from src.data.sources.download import obtain
from src.data.sources.table import SOURCES


def locate(root: Path) -> Path | None:
    """The `VOC2012` folder where `root` is it, its parent `VOCdevkit`, or the folder that holds `VOCdevkit`."""
    for path in (root / "VOCdevkit" / "VOC2012", root / "VOC2012", root):
        if all((path / part).is_dir() for part in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation")):
            return path
    return None


@SOURCES.add("voc")
def prepare(root: Path, *, url: str, md5: str, download: bool) -> Path:
    """The `VOC2012` folder under `root`: the copy that lies there, else from the archive there, else downloaded.

    Args:
        root: see `locate`; also where the archive is looked for, downloaded to and unpacked.
        url: the official archive `VOCtrainval_11-May-2012.tar` (2 GB).
        md5: its checksum, 32 hex digits.
        download: False: an InputError instead of network traffic.
    """
    return obtain(root, locate, url=url, md5=md5, download=download)
