"""Running out of memory as a sentence: what it means, and which image was too large."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from src.core.errors import InputError

_WORDS = ("allocate memory", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")


@contextmanager
def memory_for_scoring() -> Iterator[None]:
    """Turn running out of memory with a single image into its name and what would take less."""
    try:
        yield
    except RuntimeError as error:
        image = image_scored(error) if is_memory(error) else None
        if image is None:
            raise
        raise InputError(
            f"out of memory with {image} by itself; trainer.precision=bf16-mixed, head.output_stride=16 and fewer or "
            "smaller scales of a variant's inference take less, and `inference: {window: 513}` looks at it in parts."
        ) from None


def is_memory(error: RuntimeError) -> bool:
    """Whether memory ran out; on CPUs and Apple's GPUs there is no class for it."""
    text = str(error)
    return isinstance(error, torch.OutOfMemoryError) or any(words in text for words in _WORDS)


def image_scored(error: RuntimeError) -> str | None:
    """The image that was validated or scored when an error came, and its size; None while training."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        step, local = frame.f_code.co_name, frame.f_locals
        ours = "batch" in local  # Lightning has functions of these names, too
        if ours and step in ("validation_step", "test_step", "predict_step"):
            height, width = local["batch"]["mask"].shape[-2:]
            return f"image {', '.join(local['batch']['id'])} ({height} x {width} px)"
    return None
