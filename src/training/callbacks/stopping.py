"""What ends a training early, and that the epoch it ends with is validated."""

from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback, EarlyStopping, Timer


class TimeLimit(Timer):
    """Stops after a step when the time is up, that of the runs it goes on from counted in."""

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        """Several processes agree on it every few steps, since that makes them wait for each other."""
        if trainer.world_size == 1 or trainer.global_step % 16 == 0:
            super().on_train_batch_end(trainer, *args, **kwargs)


class FinalValidation(Callback):
    """Validates the epoch that a training ends with, be it cut short, or the last where not all are validated."""

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        """After each step, and behind `TimeLimit`."""
        if trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs:
            trainer.check_val_every_n_epoch = 1


def is_validated(trainer: pl.Trainer) -> bool:
    """Whether the epoch that ends now is one of those that are validated."""
    return (trainer.current_epoch + 1) % (trainer.check_val_every_n_epoch or 1) == 0


class Patience(EarlyStopping):
    """Stops when the monitor has not become better for so many validations; a resume may ask for another number."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on counting, but not from having stopped, and not to what the checkpoint says."""
        super().load_state_dict({**state_dict, "patience": self.patience, "stopped_epoch": 0})
