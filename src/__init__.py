"""SegLab: compare semantic-segmentation choices, and be able to believe the table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from src.evaluation.prediction.notebook import Model

__version__ = "0.2.0"


def load(run: str | Path, *words: str) -> Model:
    """A trained network that labels images: `load("runs/A")("photo.jpg")`.

    Args:
        run: a run folder, or the path of a checkpoint.
        words: as on the command line of `src.predict`, such as `variants=fusion`, `crf=deeplabv2` or `trainer=cpu`.

    Raises:
        InputError: it is no run, or a word is wrong.
    """
    from src.evaluation.prediction.notebook import load_run  # here: it needs torch, and commands must start fast

    return load_run(run, words)
