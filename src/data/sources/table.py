"""The data sources that a config can name; each adds itself in its own module."""

from collections.abc import Callable
from pathlib import Path

from omegaconf import DictConfig

from src.core.names import Table

_HOMES = (f"src.data.sources.{name}" for name in ("voc", "sbd", "shapes.dataset"))
SOURCES: Table[Path] = Table("data.source", *_HOMES)
"""Functions of `root` and the options of `data.prepare`: find, download or make a data set, and return its folder."""


def source_of(data: DictConfig) -> Callable[..., Path]:
    """The function of `root` that the group `data` of a config names, with its options; raises as `Table.make`."""
    return SOURCES.bound({**data.prepare, "source": data.source}, given=("root",))
