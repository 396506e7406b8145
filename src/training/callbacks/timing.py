"""How an epoch spends its time: waiting for data, steps, validation. One line per epoch, and columns in metrics.csv."""

import time
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback
from rich import get_console  # the progress bar's console, so that the bar makes room for the line


class EpochTimes(Callback):
    """Measures with the clock of the process that drives the device.

    A GPU goes on working while its process waits for data, so this waiting may cost nothing. With `exact`, the process
    waits for the device after each step; this costs a little and separates waiting from working.

    Args:
        images: per step, over all processes.
        exact: wait for the device after each step.
    """

    def __init__(self, *, images: int, exact: bool) -> None:
        self.images = images
        self.exact = exact
        self.spent = {"data": 0.0, "step": 0.0, "validation": 0.0}
        self.steps = 0
        self.mark = time.perf_counter()
        self.total = 0.0  # seconds of all epochs, those before a resume included

    def state_dict(self) -> dict[str, float]:
        """A checkpoint holds the time of its training."""
        return {"total": self.total}

    def load_state_dict(self, state_dict: dict[str, float]) -> None:
        """A resumed training goes on counting."""
        self.total = float(state_dict["total"])

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin anew."""
        self.spent = dict.fromkeys(self.spent, 0.0)
        self.steps = 0
        self.mark = time.perf_counter()

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        """Count the time since the last step as waiting."""
        self._add("data")

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        """Count the time since the batch came as the step."""
        if self.exact and pl_module.device.type == "cuda":
            torch.cuda.synchronize()
        self._add("step")
        self.steps += 1

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The time between the last step and now counts as nothing."""
        self.mark = time.perf_counter()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Count the validation; the scores have been read, so the device is done."""
        self._add("validation")

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the columns and print the line."""
        training = self.spent["data"] + self.spent["step"]
        self.total += training + self.spent["validation"]
        rate = self.steps * self.images / training if training > 0 else 0.0
        columns = {f"time/{name}": seconds for name, seconds in self.spent.items()} | {"time/images_per_second": rate}
        pl_module.log_dict(columns, sync_dist=True)
        keys = [key for key in ("train/loss", "val/miou") if self._has(trainer, key)]
        scores = "  ".join(f"{key} {trainer.callback_metrics[key]:.4f}" for key in keys)
        if trainer.is_global_zero:
            epoch = f"{trainer.current_epoch}/{(trainer.max_epochs or 0) - 1}"  # from 0, as the progress bar counts
            line = f"epoch {epoch:<6} {scores}  {self._line(training, rate)}"
            get_console().print(line, markup=False, highlight=False, soft_wrap=True)

    def _has(self, trainer: pl.Trainer, key: str) -> bool:
        return key in trainer.callback_metrics and (key != "val/miou" or self.spent["validation"] > 0)

    def _line(self, training: float, rate: float) -> str:
        share = 100 * self.spent["data"] / training if training > 0 else 0.0
        parts = [f"data {self.spent['data']:.1f} s ({share:.0f} %)", f"steps {self.spent['step']:.1f} s"]
        if self.spent["validation"] > 0:
            parts.append(f"validation {self.spent['validation']:.1f} s")
        return f"{', '.join(parts)}; {rate:.1f} images/s"

    def _add(self, name: str) -> None:
        now = time.perf_counter()
        self.spent[name] += now - self.mark
        self.mark = now
