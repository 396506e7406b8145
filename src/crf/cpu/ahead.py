"""`start()` compiles ahead, beside other work; the first CRF on the CPU waits until its code is compiled.

Neither Numba nor NumPy is imported here: the started process runs `compile.py`.
"""

import atexit
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from .cache import folder

WIDTHS = (8, 16, 24)  # of rows: labels of most images need 8, VOC's 21 need 24
PATIENCE = 30.0  # seconds that a call waits; then it ends the process and uses what is compiled by then
_process: "subprocess.Popen[bytes] | None" = None


def start() -> None:
    """Start one background process of low priority that compiles, unless all is compiled or nothing can be kept.

    The background process ends with the process that calls this.
    """
    global _process
    kept = folder()
    if _process is not None or kept is None or not sys.executable or all(mark(kept, w).exists() for w in WIDTHS):
        return
    package = __name__.split(".")[:-1]
    environment = dict(os.environ)
    if chosen := os.environ.get("NUMBA_CACHE_DIR"):
        environment["NUMBA_CACHE_DIR"] = str(Path(chosen).absolute())
    with suppress(OSError):
        _process = subprocess.Popen(
            [sys.executable, "-m", ".".join([*package, "compile"]), str(os.getpid())],
            cwd=Path(__file__).parents[len(package)], env=environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        atexit.register(_end)


def wait(width: int = WIDTHS[0]) -> None:
    """Wait until the process started by `start`, if any, has compiled the code for rows of this width, or has ended."""
    global _process
    if _process is None or width not in WIDTHS:
        return
    kept, until = folder(), time.monotonic() + PATIENCE
    while _process.poll() is None and kept is not None and not mark(kept, width).exists():
        if time.monotonic() > until:
            _end()
        time.sleep(0.02)
    if _process.poll() is not None:
        _process = None


def _end() -> None:
    if _process is not None:
        _process.kill()
        _process.wait()


def mark(kept: Path, width: int) -> Path:
    """Path of an empty file; if it exists, the code for rows of this width is compiled."""
    return kept / f"ahead-{width}"
