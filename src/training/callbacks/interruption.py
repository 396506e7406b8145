"""A training that the system asks to end does so after its step."""

import os
import signal
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher

from src.core import processes
from src.core.errors import Interrupted
from src.runs.folder import RunFolder

_EVERY = 8  # steps; several processes ask each other only so often, because this makes them wait


class Interruption(Callback):
    """Ends all processes of a training when one of them gets SIGTERM, or SLURM's signal before its time limit.

    A restart goes on from the last whole epoch. Lightning's own way ends with status 0, as if the training were done.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.received = 0  # number of the signal
        self.before: dict[int, Any] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take over from Lightning, which has just set its own handlers."""

        def note(number: int, _: Any) -> None:
            self.received = number
            if isinstance(trainer.strategy.launcher, _SubprocessScriptLauncher):
                trainer.strategy.launcher.kill(signal.SIGTERM)

        for number in (signal.SIGTERM, *([signal.SIGUSR1] if "SLURM_JOB_ID" in os.environ else [])):
            self.before[number] = signal.signal(number, note)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        """End after this step; several processes do so together."""
        if trainer.world_size == 1:
            self._end_if(trainer, self.received)
        elif trainer.global_step % _EVERY == 0:
            self._end_if(trainer, max(processes.gather(self.received)))

    def on_validation_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        """End after this image; several processes go on to their next step, because they have unequal numbers."""
        if trainer.world_size == 1:
            self._end_if(trainer, self.received)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Give the signals back."""
        for number, handler in self.before.items():
            signal.signal(number, handler)
        self.before = {}

    def _end_if(self, trainer: pl.Trainer, received: int) -> None:
        if received:
            kept = f"{self.folder.last} holds the last whole one" if self.folder.last.exists() else "none is complete"
            raise Interrupted(received, f"in epoch {trainer.current_epoch}; {kept}")
