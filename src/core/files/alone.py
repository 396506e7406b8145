"""Folders that one process fills while others wait, or that are only read."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from filelock import FileLock

from src.core.errors import InputError

_only_reads: ContextVar[bool] = ContextVar("_only_reads", default=False)


def only_reading(find: Callable[..., Path]) -> Callable[..., Path]:
    """The same function, but it only finds data: it makes and fetches nothing, and raises InputError instead.

    For data whose folder and addresses come from a file that anybody may have written.
    """

    def found(*arguments: Any, **options: Any) -> Path:
        token = _only_reads.set(True)
        try:
            return find(*arguments, **options)
        finally:
            _only_reads.reset(token)

    return found


def check_may_make(root: Path) -> None:
    """Raise InputError inside a function that is `only_reading`."""
    if _only_reads.get():
        raise InputError(
            f"{root}: the data is not there. A folder that a checkpoint names is only read: to make or fetch the data, "
            "name it on the command line (data=NAME or data.root=FOLDER)."
        )


@contextmanager
def alone(root: Path) -> Iterator[None]:
    """Lock a folder, and make it if needed: one process makes what is missing in it, the others wait.

    Raises:
        InputError: the folder cannot be written to, or must not be.
    """
    check_may_make(root)
    try:
        root.mkdir(parents=True, exist_ok=True)
        held = FileLock(root / ".lock")
        held.acquire()
    except OSError as error:
        raise InputError(
            f"{root} cannot be written to ({error.strerror}); choose a writable folder with data.root or TORCH_HOME"
        ) from error
    try:
        yield
    finally:
        held.release()
