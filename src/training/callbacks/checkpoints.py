"""The checkpoints that a training keeps: of its best and of its last epoch."""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor

from src.models.checkpoint.content import load_checkpoint
from src.runs.folder import RunFolder
from src.training.callbacks.stopping import is_validated


class BestEpoch(ModelCheckpoint):
    """Keeps `best.ckpt`: the validated epoch with the best monitor."""

    def __init__(self, folder: RunFolder, *, monitor: str, mode: str) -> None:
        super().__init__(
            folder.path,
            filename=folder.best.stem,
            monitor=monitor,
            mode=mode,
            enable_version_counter=False,
            save_on_train_epoch_end=True,  # after the schedule has seen the score
        )
        self.path = folder.best

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """See Lightning."""
        if is_validated(trainer):
            super().on_train_epoch_end(trainer, pl_module)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with the score of this folder's best checkpoint, which may have been copied here from another folder.

        It is not taken from the resumed file: a run that was killed between its two checkpoints has a best epoch that
        is later than its last one. Paths are this folder's: Lightning deletes what they lead to.
        """
        if not self.path.exists():
            return
        best = load_checkpoint(self.path)["callbacks"].get(self.state_key, {})
        score = best.get("best_model_score")
        if isinstance(score, Tensor) and score.ndim == 0:
            here = str(Path(self.dirpath or "") / self.path.name)  # in Lightning's form, because it compares paths
            self.best_model_path = self.kth_best_model_path = here
            self.best_model_score = self.kth_value = self.current_score = score
            self.best_k_models = {here: score}


class LastEpoch(ModelCheckpoint):
    """Keeps `last.ckpt`: the last complete epoch; Lightning's own `save_last` skips epochs that are not the best."""

    def __init__(self, folder: RunFolder) -> None:
        super().__init__(
            folder.path, filename=folder.last.stem, enable_version_counter=False, save_on_train_epoch_end=True
        )

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """See Lightning; an epoch that was cut short is not saved: a resume would treat it as complete."""
        if trainer.is_last_batch:
            super().on_train_epoch_end(trainer, pl_module)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take nothing from the file: the next epoch replaces this folder's `last.ckpt`."""
