"""Images and masks that lie on the disk already."""

from __future__ import annotations

from pathlib import Path

from src.core.errors import InputError
from src.data.sources.table import SOURCES, check_root


@SOURCES.add("folder")
def prepare(root: Path) -> Path:
    """The folder itself; raises InputError if it does not exist."""
    check_root(root)
    if not root.is_dir():
        raise InputError(f"data.root={root}: there is no such folder; give the one with the images and masks.")
    return root
