"""The checkpoints that a training keeps: of its best and of its last epoch."""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import ModelCheckpoint

from src.models.checkpoint import load_checkpoint
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
        """Go on from a checkpoint of this folder, or of another folder whose best checkpoint was copied here."""
        if state_dict["dirpath"] != self.dirpath:
            best = load_checkpoint(self.path)["callbacks"] if self.path.exists() else {}
            state_dict = best.get(self.state_key, {})
            if state_dict.get("best_model_score") is None:
                return
            here = str(Path(self.dirpath or "") / self.path.name)  # in Lightning's form, because it compares paths
            state_dict |= {"dirpath": self.dirpath, "best_model_path": here, "kth_best_model_path": here}
            state_dict["best_k_models"] = {here: state_dict["best_model_score"]}
        super().load_state_dict(state_dict)


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
        """See Lightning; the last epoch of another folder stays there."""
        if state_dict["dirpath"] == self.dirpath:
            super().load_state_dict(state_dict)
