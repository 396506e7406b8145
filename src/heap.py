"""glibc's allocator told what tensors do: memory that a step frees the next one wants again."""

import ctypes
import os
from collections.abc import Callable

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_MMAP_MAX = -1, -3, -4  # mallopt(3)
_BLOCK = 2**30  # bytes; larger ones still come from the system and go back to it
_CHOSEN = ("GLIBC_TUNABLES", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_")


def keep_freed_memory() -> None:
    """Keep freed memory in the process; glibc gives blocks above 32 MB back to the system.

    The system clears every page that it gives out, which takes a quarter of a training's steps on a CPU and more
    (`make bench`). In return a process stays as large as it was once. Does nothing with another allocator, or where
    the environment sets this one.
    """
    if not any(name in os.environ for name in _CHOSEN) and (mallopt := _glibc("mallopt")):
        if not mallopt(_M_MMAP_THRESHOLD, _BLOCK):  # older ones, such as 2.31, take no more than 32 MB
            mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, -1)


def give_back_freed_memory() -> None:
    """Give to the system what is free now: where much is done with, and before processes are forked, which share it."""
    if trim := _glibc("malloc_trim"):
        trim(0)


def _glibc(name: str) -> Callable[..., int] | None:
    """One of its functions, or None on systems without it."""
    try:
        return getattr(ctypes.CDLL(None), name)  # type: ignore[no-any-return]
    except (AttributeError, OSError, TypeError):  # other Unix, and Windows
        return None
