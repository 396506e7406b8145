"""Files that are complete or absent, never half-written."""

import errno
import json
import os
import re
import shutil
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy

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
            if re.fullmatch(r"\..+\.\d+\.tmp", file.name):
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


def in_bytes(size: float) -> str:
    """A number of bytes as text, such as "12 bytes", "4.2 kB", "25.6 MB" or "1.4 GB"."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size:.0f} bytes"


def _no_room(path: Path, needed: int, *, known: bool) -> str:
    free = shutil.disk_usage(path.parent).free
    needs = f"{'' if known else 'more than '}{in_bytes(needed)} are needed, {in_bytes(free)} are free"
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


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write plain values as JSON; NaN and infinity are errors."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")


class Rows(Protocol):
    """An array too large for memory: its shape and type, and its rows, one block after another."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, ...)."""
        ...

    @property
    def dtype(self) -> Any:
        """Of the numbers."""
        ...

    def __iter__(self) -> Iterator[npt.NDArray[Any]]:
        """Arrays (n, ...), together N rows."""
        ...


def write_arrays(path: Path, arrays: Iterable[tuple[str, npt.NDArray[Any] | Rows]]) -> None:
    """Write a compressed npz file with one array, or block of rows, at a time in memory."""
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays:
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                if isinstance(array, np.ndarray):
                    np.save(member, array, allow_pickle=False)
                    continue
                kind = npy.dtype_to_descr(np.dtype(array.dtype))
                npy.write_array_header_1_0(member, {"shape": array.shape, "fortran_order": False, "descr": kind})
                for block in array:
                    member.write(np.ascontiguousarray(block).tobytes())
