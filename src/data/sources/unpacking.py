"""Unpack archives, tar or zip: complete or not at all, and nothing outside of the folder."""

from __future__ import annotations

import lzma
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import IO

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from src.core.errors import InputError

ZIP = b"PK\x03\x04"  # how a zip begins
ENCRYPTED = 1  # the bit of a member's flags in a zip
_ERRORS = (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError, NotImplementedError, OSError)


def unpack(archive: Path, folder: Path) -> None:
    """Unpacks a zip or a tar (plain or compressed) into `folder`; each top-level entry appears complete or not at all.

    Raises:
        InputError: the archive is broken, a member leads out of the folder or is not a file, folder or link, or an
            entry of the same name exists.
    """
    size = archive.stat().st_size  # bytes
    try:
        with (
            tempfile.TemporaryDirectory(dir=folder, prefix=".unpacking-") as temporary,
            archive.open("rb") as raw,
            progress_bar(DownloadColumn()) as progress,
        ):
            task = progress.add_task(f"unpacking {archive.name}", total=size)
            extract = _unzip if raw.peek(len(ZIP)).startswith(ZIP) else _untar
            extract(raw, archive, Path(temporary), lambda done: progress.update(task, completed=done))
            progress.update(task, completed=size)
            _move(Path(temporary), folder)
    except _ERRORS as error:
        raise InputError(
            f"{archive} cannot be unpacked into {folder} ({error}); check the file and the disk"
        ) from error


def _untar(raw: IO[bytes], archive: Path, target: Path, show: Callable[[int], None]) -> None:
    """Unpacks a tar into the empty folder `target`; `show` is called with the number of bytes read so far."""
    with tarfile.open(fileobj=raw, mode="r:*") as tar:
        tar.extraction_filter = getattr(tarfile, "data_filter", None)  # since 3.10.12 and 3.11.4
        for member in tar:
            is_link = member.issym() or member.islnk()
            is_known = member.isfile() or member.isdir() or is_link
            _refuse_unsafe(archive, [member.name] + ([member.linkname] if is_link else []), is_known=is_known)
            tar.extract(member, target)
            show(raw.tell())


def _unzip(raw: IO[bytes], archive: Path, target: Path, show: Callable[[int], None]) -> None:
    """The same for a zip; its links are refused, because `zipfile` would make files of them."""
    with zipfile.ZipFile(raw) as content:
        done = 0
        for member in content.infolist():
            kind = stat.S_IFMT(member.external_attr >> 16)  # of Unix; 0 in archives of other systems
            _refuse_unsafe(archive, [member.filename], is_known=kind in (0, stat.S_IFREG, stat.S_IFDIR))
            if member.flag_bits & ENCRYPTED:
                raise InputError(f"{archive} needs a password; unpack it by hand.")
            content.extract(member, target)
            done += member.compress_size
            show(done)


def _refuse_unsafe(archive: Path, names: list[str], *, is_known: bool) -> None:
    """Raises InputError for a member that could lie, or point, outside the target folder.

    If no name or link target is absolute or has `..`, no chain of links can leave the folder, either.

    Args:
        archive: for the message.
        names: that of the member, and where it points if it is a link.
        is_known: whether it is of a kind that may be unpacked.
    """
    paths = [PurePosixPath(name.replace("\\", "/")) for name in names]
    if not is_known or any(path.is_absolute() or ".." in path.parts for path in paths):
        raise InputError(
            f"{archive} has the member '{' -> '.join(names)}', which leads out of the folder, or is a device or a link "
            f"of a zip; nothing was unpacked, get the archive from the official address"
        )


def _move(source: Path, target: Path) -> None:
    """Moves the entries of `source` into `target`; moves none if one of them exists there."""
    entries = sorted(source.iterdir())
    for entry in entries:
        if (target / entry.name).exists():
            raise InputError(
                f"{target / entry.name} exists, but the data in it is incomplete; move it away and run again"
            )
    for entry in entries:
        entry.rename(target / entry.name)


def progress_bar(*columns: ProgressColumn) -> Progress:
    """A progress bar on stderr, to keep it out of the command's output."""
    console = Console(stderr=True, markup=False, emoji=False)
    return Progress(
        TextColumn("{task.description}", markup=False), BarColumn(), *columns, TimeRemainingColumn(), console=console
    )
