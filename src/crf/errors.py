"""What can go wrong: one exception for bad input, and how to recognise that memory ran out. Imports no torch."""

import gc
import traceback

_WORDS = ("allocate memory", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED")


class CRFError(ValueError):
    """Bad input: the message is one sentence that names what is wrong and says what to do."""


def is_memory(error: BaseException) -> bool:
    """Whether the error means that memory ran out; CPUs have no error class of torch for it."""
    named = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return named or (isinstance(error, RuntimeError) and any(words in str(error) for words in _WORDS))


def forget_locals(error: BaseException) -> None:
    """Free what the functions held that an error ended: their tensors live as long as its traceback."""
    following: BaseException | None = error
    while following is not None:
        traceback.clear_frames(following.__traceback__)
        following.__traceback__ = None
        following = following.__cause__ or following.__context__
    gc.collect()
