"""Compile ahead, beside other work: `start()`; the first CRF that runs on the CPU waits for what it needs.

Run as a module it fills the cache of compiled code. Neither Numba nor NumPy is imported in the process that starts it.
"""

import atexit
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from src.crf.cpu.cache import folder

WIDTHS = (8, 16, 32)  # of rows: up to so many labels that take part; VOC's 21 are 32, most images' 8
PATIENCE = 10.0  # seconds that a call waits; a process that gets no time is ended, and what it has finished is used
_process: "subprocess.Popen[bytes] | None" = None


def start() -> None:
    """Start one background process that compiles, of low priority; nothing where that is done or cannot be done.

    It ends with the process that calls this.
    """
    global _process
    kept = folder()
    if _process is not None or kept is None or not sys.executable or all(_mark(kept, w).exists() for w in WIDTHS):
        return
    package = __name__.split(".")
    environment = dict(os.environ)
    if chosen := os.environ.get("NUMBA_CACHE_DIR"):
        environment["NUMBA_CACHE_DIR"] = str(Path(chosen).absolute())
    with suppress(OSError):
        _process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(os.getpid())],
            cwd=Path(__file__).parents[len(package) - 1], env=environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        atexit.register(_end)


def wait(width: int = WIDTHS[0]) -> None:
    """Until the process that `start` started, if any, has compiled what rows of this width need, or has ended."""
    global _process
    if _process is None or width not in WIDTHS:
        return
    kept, until = folder(), time.monotonic() + PATIENCE
    while _process.poll() is None and kept is not None and not _mark(kept, width).exists():
        if time.monotonic() > until:
            _end()
        time.sleep(0.02)
    if _process.poll() is not None:
        _process = None


def _end() -> None:
    if _process is not None:
        _process.kill()
        _process.wait()


def _mark(kept: Path, width: int) -> Path:
    """An empty file: what rows of this width need is compiled."""
    return kept / f"ahead-{width}"


def _fill() -> None:
    """Compile all that is not, unless another process does so, for which this one waits."""
    kept = folder()
    if kept is None:
        return
    kept.mkdir(parents=True, exist_ok=True)
    with (kept / "ahead.lock").open("w") as lock:
        with suppress(ImportError, OSError):  # without locks both compile the same, no more
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX)
        for width in WIDTHS:
            if not _mark(kept, width).exists():
                _compile(width)
                _mark(kept, width).touch()


def _compile(width: int) -> None:
    """Run a CRF of so many labels on a small image."""
    import numpy as np

    from src.crf.cpu.meanfield import infer
    from src.crf.model import CRFParameters, DenseCRF

    crf = DenseCRF(CRFParameters(1, 3.0, 1.0, 40.0, 13.0, 1.0, 0.0), "raw")
    infer(np.full((width, 4, 5), 1 / width, np.float32), np.zeros((4, 5, 3), np.uint8), [crf])


def _end_with(parent: int) -> None:
    """End this process once the one that started it is gone."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


if __name__ == "__main__":
    if hasattr(os, "nice"):
        os.nice(5)  # no more: where others keep all cores busy a nicer process gets none of them, and is waited for
    threading.Thread(target=_end_with, args=[int(sys.argv[1])], daemon=True).start()
    _fill()
