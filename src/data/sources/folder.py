"""Images and masks that lie on the disk already."""

from __future__ import annotations

from pathlib import Path

from src.core.errors import InputError
from src.data.sources.table import SOURCES, check_root


@SOURCES.add("folder")
def prepare(root: Path, *, origin: str = "give the one with the images and masks") -> Path:
    """The folder itself; raises InputError if it does not exist.

    Args:
        root: the folder.
        origin: what to do if it does not exist: where the data is to be had, and how to unpack it.
    """
    check_root(root)
    if not root.is_dir():
        raise InputError(f"data.root={root}: there is no such folder; {origin}.")
    return root
