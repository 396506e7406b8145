"""What a config can name as the source of a data set; each adds itself where it is written."""

from pathlib import Path

from src.names import Table

SOURCES: Table[Path] = Table("data.source", "src.data.voc", "src.data.sbd", "src.data.shapes.dataset")
"""Functions of `root` and the options of `data.prepare` that find, fetch or make a data set; they give its folder."""
