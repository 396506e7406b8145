"""Fills the cache of compiled code. The argument is the id of the process that called `ahead.start`."""

import os
import sys
import threading
import time

import numpy as np

from ..model import CRFParameters, DenseCRF
from .ahead import WIDTHS, mark
from .cache import folder, locked
from .meanfield import infer


def _fill() -> None:
    """Compile what is not compiled yet; if another process is compiling, wait for it first."""
    kept = folder()
    if kept is None:
        return
    with locked("ahead"):
        for width in WIDTHS:
            if not mark(kept, width).exists():
                _compile(width)
                mark(kept, width).touch()


def _compile(width: int) -> None:
    """Run a CRF of so many labels on a small image."""
    crf = DenseCRF(CRFParameters(1, 3.0, 1.0, 40.0, 13.0, 1.0, 0.0), "raw")
    infer(np.full((width, 4, 5), 1 / width, np.float32), np.zeros((4, 5, 3), np.uint8), [crf])


def _end_with(parent: int) -> None:
    """End this process once the one that started it is gone."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


if __name__ == "__main__":
    if hasattr(os, "nice"):
        os.nice(5)  # not more: if others keep all cores busy, a nicer process gets no time, but callers wait for it
    threading.Thread(target=_end_with, args=[int(sys.argv[1])], daemon=True).start()
    _fill()
