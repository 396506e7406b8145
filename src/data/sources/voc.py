"""PASCAL VOC2012 segmentation: find it, or download it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from src.data.classes import Classes, Pixels
from src.data.files.folder import ImageFolder
from src.data.files.labels import Labelling
from src.data.files.patterns import Patterns
from src.data.sources.download import obtain, whole
from src.data.sources.table import MD5, SOURCES, URL

PARTS = ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation")
VOC_CLASSES: tuple[str, ...] = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus"),
    *("car", "cat", "chair", "cow", "diningtable", "dog", "horse"),
    *("motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
VOID = 255  # object borders and "difficult" objects


def voc_palette() -> Pixels:
    """The colours of the VOC masks, as the development kit's `VOClabelcolormap` makes them.

    Returns:
        (256, 3) uint8 RGB; row = label. The label's bits 0, 1, 2 are the top bits of red, green and blue, bits 3, 4, 5
        the next ones, and so on.
    """
    labels = np.arange(256)
    palette = np.zeros((256, 3), dtype=np.uint8)
    for bit in range(8):
        for channel in range(3):
            palette[:, channel] |= (((labels >> (3 * bit + channel)) & 1) << (7 - bit)).astype(np.uint8)
    return palette


def voc_folder(path: Path, *, masks: tuple[str, ...] = ("SegmentationClass", "SegmentationClassAug")) -> ImageFolder:
    """A folder in VOC's layout, with VOC's classes.

    Args:
        path: the `VOC2012` folder itself.
        masks: names of the mask folders, searched in this order; so VOC's own mask is preferred to SBD's.
    """
    colours = tuple((int(red), int(green), int(blue)) for red, green, blue in voc_palette()[: len(VOC_CLASSES)])
    return ImageFolder(
        path,
        Patterns(path, ("JPEGImages/*.jpg",), key="data.images"),
        Patterns(path, tuple(f"{folder}/*.png" for folder in masks), key="data.masks"),
        Labelling(Classes(VOC_CLASSES, colours, background=0), VOID, {}, stated=True),
    )


def locate(root: Path) -> Path | None:
    """The `VOC2012` folder, if `root` is this folder, its parent `VOCdevkit`, or the folder that holds `VOCdevkit`."""
    return whole((root / "VOCdevkit" / "VOC2012", root / "VOC2012", root), PARTS)


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
