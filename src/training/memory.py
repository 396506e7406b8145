"""Out-of-memory errors of a training as one sentence: how many images per batch would fit."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from src.core import processes
from src.core.errors import InputError
from src.core.machine import give_back_freed_memory
from src.core.memory import forget_locals, image_scored, is_memory
from src.training.task import SegmentationTask


@contextmanager
def memory_for(task: SegmentationTask, *, batch_size: int, crop: int, accumulate: int) -> Iterator[None]:
    """Turn an out-of-memory error of a step into a message with the batch size that fits, which is found by trying.

    Those of validation are left to the block around the Trainer, see `src.evaluation.machine.trainer`.

    Args:
        task: the one that is trained in the block.
        batch_size: images per step and device.
        crop: their side in px.
        accumulate: batches per step of the optimiser.
    """
    try:
        yield
        return
    except RuntimeError as error:
        if not is_memory(error) or image_scored(error):
            raise
        forget_locals(error)
        stuck = _is_stuck(error)
    most = f"out of memory with {batch_size} images per step on one device"
    if processes.count() > 1 or stuck:  # all processes would have to try, so half is only a guess
        raise InputError(f"{most}; try half as many with recipe.batch_size.")
    fits = _largest(task, batch_size // 2, crop)
    raise InputError(f"{most}{_advice(fits, batch_size * accumulate)}")


def _advice(fits: int, images: int) -> str:
    """What to do if `fits` images fit, and the optimiser should see `images` per step."""
    if fits == 0:
        return ", and even two images are too many: try a smaller recipe.augment.crop or trainer.precision=bf16-mixed."
    return (
        f"; {fits} fit: recipe.batch_size={fits} (times the number of devices), with "
        f"recipe.accumulate={-(-images // fits)} to keep the number of images per step of the optimiser."
    )


def _largest(task: SegmentationTask, batch_size: int, crop: int) -> int:
    """The first number out of `batch_size`, its half, and so on down to 2, whose step fits; 0 if none fits."""
    while batch_size >= 2:
        try:
            _try_step(task, batch_size, crop)
            return batch_size
        except RuntimeError as error:
            if not is_memory(error):
                raise
            if _is_stuck(error) and batch_size >= 4:
                raise InputError(
                    f"out of memory with {batch_size} images per step on one device, and with more; try half as many "
                    "with recipe.batch_size."
                ) from None
            forget_locals(error)
        batch_size //= 2
    return 0


def _is_stuck(error: RuntimeError) -> bool:
    """Whether no later step can be tried: on CPUs, oneDNN fails for ever in a thread in which it has failed."""
    return "a primitive" in str(error)


def _try_step(task: SegmentationTask, batch_size: int, crop: int) -> None:
    """Allocate the memory that a step needs."""
    device = task.trainer.strategy.root_device
    task.zero_grad(set_to_none=True)
    for optimizer in task.trainer.optimizers:
        optimizer.state.clear()  # the training is over, and its state would count twice
    give_back_freed_memory()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    task.to(device)  # when a training fails, Lightning moves the task off the device
    state = [torch.zeros_like(parameter) for parameter in task.parameters() for _ in range(2)]  # Adam's
    image = torch.zeros(batch_size, 3, crop, crop, device=device)
    target = torch.zeros(batch_size, crop, crop, dtype=torch.int64, device=device)
    with task.trainer.precision_plugin.train_step_context():
        task.loss(task(image), target)["loss"].backward()
    del state
