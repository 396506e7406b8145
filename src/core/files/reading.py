"""Reading files that anybody may have written: regular ones alone, and of a size that a reader can hold."""

import json
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO

import yaml

from src.core.errors import InputError
from src.core.values import DEPTH, NODES

LARGEST = 10_000_000  # bytes of a YAML file; a preset tuned on all of VOC2012 has 100 kB


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
