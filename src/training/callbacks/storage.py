"""A check that all processes of a training see the run folder that the first one writes."""

import time

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback

from src.core import processes
from src.core.errors import InputError
from src.runs.folder import RunFolder


class SharedFolder(Callback):
    """Checks that all processes see what the first one writes; in the end, this is the best checkpoint.

    Args:
        folder: the first process has written the config into it.
        patience: seconds after which the config counts as missing; network storage may show a new file late.
    """

    def __init__(self, folder: RunFolder, *, patience: float = 60.0) -> None:
        self.folder = folder
        self.patience = patience

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Wait until the config is there."""
        until = time.monotonic() + self.patience
        while not self.folder.config.exists():
            if time.monotonic() > until:
                raise InputError(
                    f"{self.folder.path.absolute()}: process {processes.rank()} does not see the run folder of the "
                    "first process; several machines need storage that they share (runs=FOLDER)."
                )
            time.sleep(0.5)
