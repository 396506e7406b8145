"""Out-of-memory errors as one sentence: which image was too large, and what needs less memory."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from src.core.errors import InputError

_WORDS = ("allocate memory", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")


@contextmanager
def memory_for_scoring() -> Iterator[None]:
    """Turn an out-of-memory error on a single image into a message: its name, and what needs less memory."""
    try:
        yield
    except RuntimeError as error:
        image = image_scored(error) if is_memory(error) else None
        if image is None:
            raise
        raise InputError(
            f"out of memory with {image} alone. These need less memory: trainer.precision=bf16-mixed, "
            "head.output_stride=16, fewer or smaller scales in a variant's inference, or `inference: {window: 513}`."
        ) from None


def is_memory(error: RuntimeError) -> bool:
    """Whether the error means that memory ran out; CPUs and Apple's GPUs have no error class for it."""
    text = str(error)
    return isinstance(error, torch.OutOfMemoryError) or any(words in text for words in _WORDS)


def image_scored(error: RuntimeError) -> str | None:
    """Id and size of the image that was validated or scored when the error came; None during training steps."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        step, local = frame.f_code.co_name, frame.f_locals
        ours = "batch" in local  # Lightning has functions of these names, too
        if ours and step in ("validation_step", "test_step", "predict_step"):
            height, width = local["batch"]["mask"].shape[-2:]
            return f"image {', '.join(local['batch']['id'])} ({height} x {width} px)"
    return None
