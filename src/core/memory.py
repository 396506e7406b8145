"""Out-of-memory errors as one sentence: which image was too large, and what needs less memory."""

import gc
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import torch

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

from src.core.errors import InputError

_WORDS = (
    *("allocate memory", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED"),
    *("could not create a primitive", "could not execute a primitive"),  # of oneDNN, on CPUs
)
_SHARED = ("unable to allocate shared memory", "unable to mmap", "unable to write to file </torch_", "Bus error")


@contextmanager
def memory_for_scoring() -> Iterator[None]:
    """Turn an out-of-memory error on a single image, or the loss of a data worker, into a message on what helps."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if lost := _worker_lost(error):
            raise InputError(lost) from None
        image = image_scored(error) if is_memory(error) else None
        if image is None:
            raise
        raise InputError(
            f"out of memory with {image} alone. These need less memory: trainer.precision=bf16-mixed, "
            "head.output_stride=16, fewer or smaller scales in a variant's inference, or `inference: {window: 513}`."
        ) from None


def is_memory(error: BaseException) -> bool:
    """Whether the error means that memory ran out; CPUs and Apple's GPUs have no error class of torch for it."""
    text = str(error)
    named = isinstance(error, (torch.OutOfMemoryError, MemoryError))
    return named or (isinstance(error, RuntimeError) and any(words in text for words in _WORDS))


def largest_memory(device: torch.device) -> int:
    """Bytes that this process has held at most: of tensors on a GPU, else of main memory; 0 where nobody tells."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    if resource is None:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def forget_locals(error: BaseException) -> None:
    """Free what the functions held that an error ended: the tensors of a failed step live as long as its traceback."""
    for one in _chain(error):
        traceback.clear_frames(one.__traceback__)
        one.__traceback__ = None
    gc.collect()


def _chain(error: BaseException) -> list[BaseException]:
    """The error, and those that led to it."""
    before = error.__cause__ or error.__context__
    return [error, *(_chain(before) if before is not None else [])]


def _worker_lost(error: BaseException) -> str | None:
    """A message, if the error means that a process that loads data has died or found no shared memory."""
    text = "; ".join(map(str, _chain(error)))
    if "DataLoader worker" not in text:
        return None
    if any(words in text for words in _SHARED):
        return (
            "a data worker found no room in /dev/shm, through which data workers hand over their images; use fewer "
            "(trainer.workers=1, or 0 for none), or give more room (in Docker: --shm-size=8g)."
        )
    if "killed by signal" in text or "exited unexpectedly" in text:
        reason = text.partition("is killed by signal: ")[2].partition(".")[0] or "it ended by itself"
        return (
            f"a data worker was lost ({reason}); most often the system ends one because memory is short: use fewer "
            "(trainer.workers=1, or 0 for none) or trainer.cache=0, and start the same command again."
        )
    return None


def image_scored(error: BaseException) -> str | None:
    """Id and size of the image that was validated or scored when the error came; None during training steps."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_name not in ("validation_step", "test_step", "predict_step"):
            continue  # without a look at its variables: the look would keep them
        batch = frame.f_locals.get("batch")
        if isinstance(batch, dict):  # ours; Lightning has functions of these names, too
            height, width = batch["mask"].shape[-2:]
            return f"image {', '.join(batch['id'])} ({height} x {width} px)"
    return None
