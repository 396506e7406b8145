"""ADE20K scene parsing (Zhou et al. 2017): find it, or download it."""

from __future__ import annotations

from pathlib import Path

from src.data.sources.download import obtain, whole
from src.data.sources.table import MD5, SOURCES, URL

TOP = "ADEChallengeData2016"
PARTS = ("images/training", "images/validation", "annotations/training", "annotations/validation")


def locate(root: Path) -> Path | None:
    """The folder with `images` and `annotations`: `root` itself, or the unpacked archive in it."""
    return whole((root / TOP, root), PARTS)


@SOURCES.add("ade20k")
def prepare(root: Path, *, url: URL, md5: MD5, download: bool) -> Path:
    """The folder `ADEChallengeData2016` under `root`, if needed unpacked from the archive in `root`, or downloaded.

    Args:
        root: see `locate`; the archive is also looked for, downloaded and unpacked there.
        url: the publisher's archive `ADEChallengeData2016.zip` (923 MB).
        md5: its checksum, 32 hex digits.
        download: False: raise InputError instead of using the network.
    """
    return obtain(root, locate, url=url, md5=md5, download=download, traces=(TOP, "images", "annotations"))
