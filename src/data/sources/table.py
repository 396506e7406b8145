"""The data sources that a config can name; each adds itself in its own module."""

from pathlib import Path

from src.core.names import Table

_HOMES = (f"src.data.sources.{name}" for name in ("voc", "sbd", "shapes.dataset"))
SOURCES: Table[Path] = Table("data.source", *_HOMES)
"""Functions of `root` and the options of `data.prepare`: find, download or make a data set, and return its folder."""
