"""Ends a training in all its processes if it cannot learn: loss or weights not finite, or no loss at all."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn

from src.core import processes
from src.core.errors import InputError
from src.runs.folder import RunFolder

SMALLER = "a smaller recipe.optimizer.lr, recipe.gradient_clip=1, or trainer.precision=32-true"


class Divergence(Callback):
    """Ends the training if a loss or a weight is NaN or infinite; for a loss, names the images of the batch.

    Ends it, too, if each loss up to the end of an epoch is exactly 0: nothing is learned, and it looks like success.
    All processes end in the same step. On a GPU, a step's answer is read after the next step is queued, so the device
    never waits.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.before: _Step | None = None
        self.losses: Tensor | None = None  # how many losses of this process were not 0; on the device

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Mapping[str, Any], batch_idx: int
    ) -> None:
        """Start the check of this step and read that of the step before; on a CPU, read this step's at once."""
        loss = outputs["loss"].detach()
        is_finite, is_loss = loss.isfinite(), (loss != 0).long()
        self.losses = is_loss if self.losses is None else self.losses + is_loss
        asked = _Step(is_finite, _Answer(processes.everywhere(is_finite)), list(batch["id"]), batch_idx)
        self._look(trainer)
        self.before = asked
        if pl_module.device.type == "cpu":
            self._look(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check the last step, the losses and the weights before a checkpoint is written."""
        self._look(trainer)
        if self.losses is not None and int(processes.joined(self.losses)) == 0:
            until = f"each loss up to the end of epoch {trainer.current_epoch} is exactly 0"
            why = "no labelled pixel was seen, or the weights of all classes that occur are 0"
            self._end(
                trainer,
                f"{until}: {why}",
                "python -m src.check, which counts void pixels, and look at loss.class_weights",
            )
        norm = nn.utils.get_total_norm([weights.detach() for weights in pl_module.parameters()])
        if not processes.everywhere(norm.isfinite()):
            self._end(
                trainer, f"the weights after epoch {trainer.current_epoch} are not finite: its last steps diverged"
            )

    def _look(self, trainer: pl.Trainer) -> None:
        if self.before is None:
            return
        step, self.before = self.before, None
        if not step.everywhere.wait():
            mine = [] if step.is_finite else step.ids
            ids = ", ".join(image_id for process in processes.gather(mine) for image_id in process)
            where = f"step {step.number} in epoch {trainer.current_epoch}"
            self._end(trainer, f"the loss of {where} is not finite; images: {ids}")

    def _end(self, trainer: pl.Trainer, reason: str, remedy: str = SMALLER) -> NoReturn:
        """End all processes; the first one reports the reason, and saves it in a file before a launcher can end it."""
        last = self.folder.last
        kept = f"{last} holds the last good epoch" if last.exists() else "no epoch is complete, so none is saved"
        error = InputError(f"{reason}; {kept}. Try {remedy}.")
        if trainer.is_global_zero:
            self.folder.fail(str(error))
        trainer.strategy.barrier()
        if not trainer.is_global_zero:
            sys.exit(0)
        raise error


class _Answer:
    """A truth value on its way from a device."""

    def __init__(self, value: Tensor) -> None:
        self.value, self.event = value, None
        if value.is_cuda:
            self.value = torch.empty((), dtype=torch.bool, pin_memory=True).copy_(value, non_blocking=True)
            self.event = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self.event.record()

    def wait(self) -> bool:
        if self.event is not None:
            self.event.synchronize()
        return bool(self.value)


@dataclass(frozen=True)
class _Step:
    is_finite: Tensor  # of this process
    everywhere: _Answer
    ids: list[str]
    number: int
