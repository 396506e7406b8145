"""Download archives: downloads resume and are verified."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable
from http.client import HTTPException, HTTPResponse
from pathlib import Path, PurePosixPath
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from rich.progress import DownloadColumn, TransferSpeedColumn

from src.core.errors import InputError
from src.core.files.alone import alone, check_may_make
from src.data.sources.table import check_root
from src.data.sources.unpacking import progress_bar, unpack

PAUSES = (1.0, 2.0, 4.0, 8.0)  # seconds before each new attempt after a broken connection
TIMEOUT = 30.0  # seconds to wait without receiving a byte
CHUNK = 1 << 20  # bytes


Locate = Callable[[Path], Path | None]


def obtain(root: Path, locate: Locate, *, url: str, md5: str, download: bool, traces: Iterable[str] = ()) -> Path:
    """The data that `locate` finds under `root`. If needed, first unpack the archive in `root`, downloaded if missing.

    Args:
        root: folder of the data set; the archive in it has the file name from `url`.
        locate: gives the unpacked data under `root`, or None if it is not there.
        url: the official archive.
        md5: its checksum, 32 hex digits.
        download: False: raise InputError instead of using the network.
        traces: names in `root` that only the unpacked data has; where one is left, nothing is downloaded.
    """
    check_root(root)
    if found := locate(root):
        return found
    check_may_make(root)
    archive = root / PurePosixPath(urlsplit(url).path).name
    if not download and not archive.is_file():
        _check_traces(root, archive, traces)
        raise InputError(f"there is no data set in {root}, and download is off; {_by_hand(url, archive, md5=md5)}")
    with alone(root):
        if found := locate(root):
            return found
        if archive.is_file():
            verify(archive, md5=md5)
        else:
            _check_traces(root, archive, traces)
            fetch(url, archive, md5=md5)
        unpack(archive, root)
    if found := locate(root):
        return found
    raise InputError(f"{archive} does not hold the expected data set; compare `url` in conf/data with the official one")


def whole(paths: Iterable[Path], parts: Iterable[str]) -> Path | None:
    """The first of some folders in which all parts are folders."""
    return next((path for path in paths if all((path / part).is_dir() for part in parts)), None)


def _check_traces(root: Path, archive: Path, traces: Iterable[str]) -> None:
    """Raise InputError if the archive is no file, or a part of the data is there: a download would not mend that."""
    for path in (archive, *(root / name for name in traces)):
        if os.path.lexists(path):
            what = "is a link that leads nowhere" if not path.exists() else "is there, but the data set is not whole"
            raise InputError(f"{path} {what}; nothing is downloaded: complete or correct it, or move it away.")


def fetch(url: str, path: Path, *, md5: str) -> None:
    """Downloads `url` to `path`, which appears only when it is complete and its checksum is right.

    Bytes are collected in `path` + `.part`; an interrupted download continues from there, also in a later call.

    Args:
        url: where the file is.
        path: where to save it; missing folders are made.
        md5: its checksum, 32 hex digits.

    Raises:
        InputError: the server cannot be reached or refuses, the checksum differs (then the `.part` is deleted), or the
            folder cannot be written to.
    """
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with progress_bar(DownloadColumn(), TransferSpeedColumn()) as progress:
            task = progress.add_task(path.name, total=None)
            _keep_trying(lambda: _continue(url, part, lambda done, of: progress.update(task, completed=done, total=of)))
        verify(part, md5=md5, delete=True)
        part.replace(path)
    except (OSError, HTTPException) as error:  # OSError: urllib's errors and a full disk
        raise InputError(f"{url} did not arrive ({error}); {_by_hand(url, path, md5=md5)}") from error


def verify(path: Path, *, md5: str, delete: bool = False) -> None:
    """Raises InputError unless the file's MD5 is `md5`; with `delete`, a wrong file is deleted."""
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    if digest.hexdigest() == md5.lower():
        return
    remedy = "it was deleted, run again" if delete else "delete it and run again"
    if delete:
        path.unlink()
    raise InputError(f"{path} has MD5 {digest.hexdigest()}, expected {md5}: {remedy} to download it again")


def _keep_trying(attempt: Callable[[], None]) -> None:
    """Calls `attempt` until it succeeds; after a broken connection or server error, waits and tries again."""
    for pause in PAUSES:
        try:
            return attempt()
        except HTTPError as error:
            error.close()
            if error.code < 500 and error.code not in (408, 429):  # request timeout, too many requests
                raise
        except (URLError, ConnectionError, TimeoutError, HTTPException):
            pass  # if the last attempt also fails, it reports the error
        time.sleep(pause)
    return attempt()


def _continue(url: str, part: Path, show: Callable[[int, int | None], None]) -> None:
    """Downloads the missing bytes of `url` and appends them to `part`.

    Args:
        url: where the file is.
        part: file that an earlier attempt left; it may be missing.
        show: called with the number of bytes done and the total, if known.

    Raises:
        ConnectionError: the body ended before its stated length.
    """
    have = part.stat().st_size if part.is_file() else 0
    headers = {"User-Agent": "seglab"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        response: HTTPResponse = urlopen(Request(url, headers=headers), timeout=TIMEOUT)
    except HTTPError as error:
        if error.code != 416:
            raise
        error.close()
        if error.headers.get("Content-Range") != f"bytes */{have}":  # if equal, nothing is missing
            part.unlink()
            _continue(url, part, show)
        return
    with response:
        resumed = response.status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        length = response.headers.get("Content-Length")
        start = have if resumed else 0  # a server without Range support sends the whole file, status 200
        total = start + int(length) if length else None
        with part.open("ab" if resumed else "wb") as file:
            _copy(response, file, lambda done: show(start + done, total))
            if total is not None and file.tell() != total:
                raise ConnectionError(f"connection closed after {file.tell():,} of {total:,} bytes")


def _copy(source: IO[bytes], target: IO[bytes], show: Callable[[int], None]) -> None:
    """Copies to the end; `show` is called with the number of bytes copied so far."""
    done = 0
    while chunk := source.read(CHUNK):
        target.write(chunk)
        done += len(chunk)
        show(done)


def _by_hand(url: str, path: Path, *, md5: str) -> str:
    """What to do without a network, for messages."""
    return f"put {path.name} into {path.parent} by hand ({url}, MD5 {md5}), or use data=shapes, which needs no download"
