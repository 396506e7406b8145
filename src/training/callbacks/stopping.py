"""Callbacks that end a training early, and one that validates the epoch with which it ends."""

from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback, EarlyStopping, Timer


class TimeLimit(Timer):
    """Stops after a step when the time is up; the time of the runs that it resumes counts, too."""

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        """Several processes check only every few steps, because the check makes them wait for each other."""
        if trainer.world_size == 1 or trainer.global_step % 16 == 0:
            super().on_train_batch_end(trainer, *args, **kwargs)


class FinalValidation(Callback):
    """Validates the epoch with which a training ends, even if it was cut short or `val_every` would skip it."""

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        """Runs after each step, and after `TimeLimit`."""
        if trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs:
            trainer.check_val_every_n_epoch = 1


def is_validated(trainer: pl.Trainer) -> bool:
    """Whether the epoch that ends now is validated."""
    return (trainer.current_epoch + 1) % (trainer.check_val_every_n_epoch or 1) == 0


class Patience(EarlyStopping):
    """Stops when the monitor has not improved for a number of validations; a resumed run may change this number."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep the count, but not that the training has stopped, and not the checkpoint's patience."""
        super().load_state_dict({**state_dict, "patience": self.patience, "stopped_epoch": 0})
