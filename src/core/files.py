"""Files that are complete or absent, never half-written; one process writes at a time. Imports no torch."""

import json
import os
import stat
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml
from filelock import FileLock

from src.core.errors import InputError
from src.core.values import DEPTH, NODES

LARGEST = 10_000_000  # bytes of a YAML file; a preset tuned on all of VOC2012 has 100 kB


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`. It replaces `path` if the block ends without error; else it is deleted."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_json(path: Path) -> dict[str, Any] | None:
    """An object in JSON, or None if there is no such file."""
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise InputError(f"{path} is not readable JSON ({error}); score the run again.") from error
    return content


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write plain values as JSON; NaN and infinity are errors."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")


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


def check_regular(path: Path) -> None:
    """Raise InputError for a folder, or for a pipe or device, which could be read without an end.

    Raises:
        FileNotFoundError: there is nothing.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise InputError(f"{path}: is not a file but a {'folder' if path.is_dir() else 'pipe or device'}.")


def read_yaml(path: Path) -> str:
    """The text of a YAML file that is safe to load: of some size and depth, without references to itself.

    Raises:
        FileNotFoundError: there is nothing.
        InputError: loading it would take long, or never end.
        yaml.YAMLError, UnicodeDecodeError: it is not YAML.
    """
    check_regular(path)
    if path.stat().st_size > LARGEST:
        raise InputError(f"{path}: has more than {LARGEST // 10**6} MB, which no config has.")
    text = path.read_bytes().decode("utf-8-sig")
    depth = 0
    for count, event in enumerate(yaml.parse(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))):
        if isinstance(event, yaml.AliasEvent):
            raise InputError(f"{path}: holds a YAML alias (*{event.anchor}), which is not read; write its value out.")
        if isinstance(event, yaml.CollectionStartEvent | yaml.CollectionEndEvent):
            depth += 1 if isinstance(event, yaml.CollectionStartEvent) else -1
        if depth > DEPTH or count > 2 * NODES:
            raise InputError(f"{path}: is nested too deeply or is too large for a config.")
    return text
