"""PASCAL VOC2012 segmentation: find it, or download it."""

from __future__ import annotations

from pathlib import Path

from src.data.sources.download import obtain
from src.data.sources.table import MD5, SOURCES, URL

PARTS = ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation")


def locate(root: Path) -> Path | None:
    """The `VOC2012` folder, if `root` is this folder, its parent `VOCdevkit`, or the folder that holds `VOCdevkit`."""
    for path in (root / "VOCdevkit" / "VOC2012", root / "VOC2012", root):
        if all((path / part).is_dir() for part in PARTS):
            return path
    return None


@SOURCES.add("voc")
def prepare(root: Path, *, url: URL, md5: MD5, download: bool) -> Path:
    """The `VOC2012` folder under `root`: the copy in `root`, else unpacked from the archive in `root`, else downloaded.

    Args:
        root: see `locate`; the archive is also looked for, downloaded and unpacked there.
        url: the official archive `VOCtrainval_11-May-2012.tar` (2 GB).
        md5: its checksum, 32 hex digits.
        download: False: raise InputError instead of using the network.
    """
    traces = ("VOCdevkit", "VOC2012", *PARTS)
    return obtain(root, locate, url=url, md5=md5, download=download, traces=traces)
