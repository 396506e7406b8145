"""Files that are complete or absent, never half-written; one process writes at a time. Imports no torch."""

import errno
import json
import os
import shutil
import stat
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from filelock import FileLock

from src.core.errors import InputError

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # disk full, quota used up, longer than a limit allows


@contextmanager
def replacing(path: Path, *, size: int | None = None, durable: bool = True) -> Iterator[Path]:
    """A temporary path beside `path`. It replaces `path` if the block ends without error; else it is deleted.

    It lies beside `path`, because only within one file system a file is replaced at once.

    Args:
        path: of the file.
        size: bytes that will be written, if this is known; then missing room is told before anything is written.
        durable: wait until the disk has the file; without it, a power cut may leave an empty file. False is for files
            that are made again if they are damaged.

    Raises:
        InputError: there is no room on the disk, or the folder is gone or cannot be written to.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    if size is not None and path.parent.is_dir():
        check_room(path.parent, size, path.name)
    try:
        yield temporary
        if durable:
            _flush(temporary)
        temporary.replace(path)
        if durable:
            _flush(path.parent)
    except InputError:
        raise
    except Exception as error:
        if _is_full(error):
            needed = size or (temporary.stat().st_size if temporary.exists() else 0)
            raise InputError(_no_room(path, needed, known=size is not None)) from error
        if isinstance(error, OSError) and error.filename in (str(temporary), str(path.parent)):
            gone = "" if path.parent.is_dir() else "; its folder has been deleted"
            raise InputError(f"{path}: cannot be written ({error.strerror}{gone}).") from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Delete what killed processes have left of `replacing` in a folder in which no other process is writing."""
    if not folder.is_symlink():
        for file in folder.glob(".*.tmp"):
            file.unlink(missing_ok=True)


def check_room(folder: Path, size: int, what: str) -> None:
    """Raise InputError if a file system has no room for `size` more bytes.

    Args:
        folder: on the file system.
        size: bytes.
        what: will be written, for the message.
    """
    if shutil.disk_usage(folder).free < size:
        raise InputError(_no_room(folder / what, size, known=True))


def megabytes(size: float) -> str:
    """Bytes as text, such as "0.4 MB" or "1.40 GB"."""
    return f"{size / 1e6:.1f} MB" if size < 1e9 else f"{size / 1e9:.2f} GB"


def _no_room(path: Path, needed: int, *, known: bool) -> str:
    free = shutil.disk_usage(path.parent).free
    needs = f"{'' if known else 'more than '}{megabytes(needed)} are needed, {megabytes(free)} are free"
    return f"{path}: cannot be written, because the disk is full ({needs}); make room, then the same command goes on."


def _is_full(error: BaseException | None) -> bool:
    """Whether an error, or one that it comes from, means that there is no room on the disk; torch hides such errors."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            return True
        error = error.__cause__ or error.__context__
    return False


def _flush(path: Path) -> None:
    """Wait until the disk has a file, or the names in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_regular(path: Path, *, way_out: str = "move it away") -> BinaryIO:
    """Open a file for reading, but nothing else that may lie in its place: reading a pipe would wait for ever.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: it is not a regular file, or cannot be opened; the message ends with `way_out`.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the path
        raise InputError(f"{path} cannot be read ({getattr(error, 'strerror', error)}): {way_out}.") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise InputError(f"{path} is not a file but a folder, a pipe or a device: {way_out}.")
    return os.fdopen(descriptor, "rb")


def read_text(path: Path, *, most: int = 2**26, way_out: str = "move it away") -> str:
    """The text of a regular file in UTF-8.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: it is not a regular file, is longer than `most` bytes, or is not UTF-8.
    """
    with open_regular(path, way_out=way_out) as file:
        content = file.read() if os.fstat(file.fileno()).st_size <= most else None
    if content is None:
        raise InputError(f"{path} is larger than {most:,} bytes, so this project did not write it: {way_out}.")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not a text in UTF-8 (byte {error.start}): {way_out}.") from error


def read_json(path: Path, *, way_out: str = "delete it, then start the command that wrote it again") -> Any:
    """The content of a JSON file, or None if there is no such file.

    Raises:
        InputError: it is damaged; the message ends with `way_out`.
    """
    try:
        return json.loads(read_text(path, way_out=way_out))
    except FileNotFoundError:
        return None
    except json.JSONDecodeError as error:
        raise InputError(f"{path} is cut off or is not JSON (line {error.lineno}): {way_out}.") from error
    except RecursionError:
        raise InputError(f"{path} is nested too deeply: {way_out}.") from None


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write plain values as JSON; NaN and infinity are errors."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def write_arrays(path: Path, arrays: Iterable[tuple[str, npt.NDArray[Any]]]) -> None:
    """Write a compressed npz file with one array at a time in memory, unlike `numpy.savez_compressed`."""
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays:
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.save(member, array, allow_pickle=False)


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
