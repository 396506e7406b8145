"""How a training ends: validated whatever ended it; and what it keeps: its best and last epoch, averaged weights."""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, Timer, WeightAveraging
from lightning.pytorch.trainer.states import TrainerFn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from src.checkpoint import load_checkpoint
from src.norms import average_buffers
from src.runs import RunFolder


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


class BestEpoch(ModelCheckpoint):
    """Keeps `best.ckpt`: the validated epoch with the best monitor."""

    def __init__(self, folder: RunFolder, *, monitor: str, mode: str) -> None:
        super().__init__(
            folder.path,
            filename=folder.best.stem,
            monitor=monitor,
            mode=mode,
            enable_version_counter=False,
            save_on_train_epoch_end=True,  # when the schedule has seen the score
        )
        self.path = folder.best

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """See Lightning."""
        if is_validated(trainer):
            super().on_train_epoch_end(trainer, pl_module)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint of this folder, or of another one whose best has been brought here."""
        if state_dict["dirpath"] != self.dirpath:
            best = load_checkpoint(self.path)["callbacks"] if self.path.exists() else {}
            state_dict = best.get(self.state_key, {})
            if state_dict.get("best_model_score") is None:
                return
            here = str(Path(self.dirpath or "") / self.path.name)  # as Lightning writes it, which compares the two
            state_dict |= {"dirpath": self.dirpath, "best_model_path": here, "kth_best_model_path": here}
            state_dict["best_k_models"] = {here: state_dict["best_model_score"]}
        super().load_state_dict(state_dict)


class LastEpoch(ModelCheckpoint):
    """Keeps `last.ckpt`: the last whole epoch; Lightning's own `save_last` skips epochs that are not the best."""

    def __init__(self, folder: RunFolder) -> None:
        super().__init__(
            folder.path, filename=folder.last.stem, enable_version_counter=False, save_on_train_epoch_end=True
        )

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """See Lightning; an epoch that was cut short would go on as if it had been whole."""
        if trainer.is_last_batch:
            super().on_train_epoch_end(trainer, pl_module)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """See Lightning; the last epoch of another folder stays there."""
        if state_dict["dirpath"] == self.dirpath:
            super().load_state_dict(state_dict)


class Patience(EarlyStopping):
    """Stops when the monitor has not become better for so many validations; a resume may ask for another number."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on counting, but not from having stopped, and not to what the checkpoint says."""
        super().load_state_dict({**state_dict, "patience": self.patience, "stopped_epoch": 0})


class AverageWeights(WeightAveraging):
    """Validates, keeps and scores an exponential average of the weights, which follows them step by step."""

    def __init__(self, decay: float) -> None:
        super().__init__(multi_avg_fn=get_ema_multi_avg_fn(decay))  # type: ignore[no-untyped-call]

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """See Lightning; a checkpoint holds the average's buffers of the first process, as those of the network."""
        super().on_train_epoch_end(trainer, pl_module)
        assert self._average_model is not None
        average_buffers(self._average_model)

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """A training goes on with both; scored is the average, which is what the checkpoint holds as the weights."""
        if trainer.state.fn == TrainerFn.FITTING:
            super().on_load_checkpoint(trainer, pl_module, checkpoint)
