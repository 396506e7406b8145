"""What a config can name as the source of a data set; each adds itself where it is written."""

from pathlib import Path

from src.core.names import Table

_HOMES = (f"src.data.sources.{name}" for name in ("voc", "sbd", "shapes.dataset"))
SOURCES: Table[Path] = Table("data.source", *_HOMES)
"""Functions of `root` and the options of `data.prepare` that find, fetch or make a data set; they give its folder."""
