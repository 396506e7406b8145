"""Whether all processes of a training see the run folder that the first one writes."""

import time

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback

from src.core import processes
from src.core.errors import InputError
from src.runs.folder import RunFolder


class SharedFolder(Callback):
    """Makes sure that all processes see what the first one writes: its best checkpoint, in the end.

    Args:
        folder: in which the first process has written the config.
        patience: seconds after which it is taken for missing; network storage remembers for a while that it was.
    """

    def __init__(self, folder: RunFolder, *, patience: float = 60.0) -> None:
        self.folder = folder
        self.patience = patience

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Ask until it is there."""
        until = time.monotonic() + self.patience
        while not self.folder.config.exists():
            if time.monotonic() > until:
                raise InputError(
                    f"{self.folder.path.absolute()}: process {processes.rank()} does not see the run folder of the "
                    "first one; several machines need storage that they share (runs=FOLDER)."
                )
            time.sleep(0.5)
