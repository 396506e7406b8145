"""What ends a training that cannot go well, with the way out: a loss that is no number, too little memory."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from src import processes
from src.errors import InputError
from src.runs import RunFolder
from src.task import SegmentationTask

_TOO_MANY = "out of memory with {} images in a step of a device"


class FiniteLoss(Callback):
    """Ends the training when a loss is NaN or infinite, naming the images of its batch.

    On a GPU the answer of a step is read when the next one is queued, so that the device never waits for it.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.before: tuple[_Answer, list[str], int] | None = None

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Mapping[str, Any], batch_idx: int
    ) -> None:
        """Ask of this step, look at the one before; on a CPU at this one."""
        asked = (_Answer(outputs["loss"].detach().isfinite()), list(batch["id"]), batch_idx)
        self._look(trainer)
        self.before = asked
        if pl_module.device.type == "cpu":
            self._look(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Look at the last one, before a checkpoint is written."""
        self._look(trainer)

    def _look(self, trainer: pl.Trainer) -> None:
        if self.before is None:
            return
        (finite, ids, batch), self.before = self.before, None
        if not finite.wait():
            last = self.folder.last
            kept = f"{last} holds the last whole epoch" if last.exists() else "no epoch is complete, so none is kept"
            raise InputError(
                f"the loss of step {batch} in epoch {trainer.current_epoch} is not finite; its images are "
                f"{', '.join(ids)}; {kept}. Try a smaller recipe.optimizer.lr, recipe.gradient_clip=1, or "
                "trainer.precision=32-true."
            )


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


@contextmanager
def memory_for(task: SegmentationTask, *, batch_size: int, crop: int) -> Iterator[None]:
    """Turn running out of memory into the batch size that would fit, which is found by trying.

    Args:
        task: what is trained in the block.
        batch_size: images per step and device.
        crop: their side in px.
    """
    try:
        yield
    except RuntimeError as error:  # torch.OutOfMemoryError is one; on CPUs there is no class for it
        if not isinstance(error, torch.OutOfMemoryError) and "allocate memory" not in str(error):
            raise
        error.__traceback__ = None  # which holds the tensors of the step
        if processes.count() > 1:  # which would all have to try: half is a guess
            raise InputError(f"{_TOO_MANY.format(batch_size)}; try half as many: recipe.batch_size.") from None
        raise InputError(_advice(_largest(task, batch_size // 2, crop), batch_size)) from None


def _advice(fits: int, batch_size: int) -> str:
    most = _TOO_MANY.format(batch_size)
    if fits == 0:
        return (
            f"{most}, and two are too many as well: try a smaller recipe.augment.crop or trainer.precision=bf16-mixed."
        )
    return (
        f"{most}; {fits} fit: recipe.batch_size={fits} (times the number of devices), with "
        f"recipe.accumulate={-(-batch_size // fits)} for as many images per step of the optimiser."
    )


def _largest(task: SegmentationTask, batch_size: int, crop: int) -> int:
    """The first of `batch_size` and its halves, down to 2, of which a step goes through; 0 if none does."""
    device = task.trainer.strategy.root_device
    task.to(device)  # Lightning takes the task off it when a training fails
    task.zero_grad(set_to_none=True)
    state = [torch.zeros_like(parameter) for parameter in task.parameters() for _ in range(2)]  # Adam's
    while batch_size >= 2:
        if device.type == "cuda":
            torch.cuda.empty_cache()
        try:
            image = torch.zeros(batch_size, 3, crop, crop, device=device)
            target = torch.zeros(batch_size, crop, crop, dtype=torch.int64, device=device)
            with task.trainer.precision_plugin.train_step_context():
                task.loss(task(image), target)["loss"].backward()
            return batch_size
        except RuntimeError:
            batch_size //= 2
        finally:
            task.zero_grad(set_to_none=True)
    del state
    return 0
