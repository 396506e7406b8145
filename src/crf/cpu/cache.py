"""Where compiled code is kept: a folder named after everything the code depends on, so its content is never stale.

Numba itself notices only changes in a function's own file. This module does not import Numba.
"""

import hashlib
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

SOURCES = (
    *(f"cpu/vectors/{name}" for name in ("simd", "arithmetic", "jit")),
    *(f"cpu/lattices/{name}" for name in ("lattice", "joining", "construction")),
    *(f"cpu/{name}" for name in ("planes", "walk", "meanfield")),
    "terms/filtering",
)
HERE = Path(__file__).parent


@contextmanager
def locked(name: str) -> Iterator[None]:
    """While this lasts, other processes wait for the lock of this name, where there are locks and a place for one."""
    kept = folder()
    with ExitStack() as held:
        if kept is not None:
            with suppress(ImportError, OSError):
                import fcntl

                kept.mkdir(parents=True, exist_ok=True)
                fcntl.flock(held.enter_context((kept / f"{name}.lock").open("w", encoding="utf-8")), fcntl.LOCK_EX)
        yield


@lru_cache
def folder() -> Path | None:
    """In `NUMBA_CACHE_DIR`, else beside the sources, else in the user's cache folder; None: nothing can be kept."""
    name = f"numba-{_key()}"
    if chosen := os.environ.get("NUMBA_CACHE_DIR"):
        return Path(chosen).absolute() / name
    if os.access(HERE, os.W_OK):
        return HERE / "__pycache__" / name
    users = os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME") or "~/.cache"
    there = Path(os.path.expanduser(users))  # noqa: PTH111 - Path.expanduser raises if there is no home
    known = next(folder for folder in (there, *there.parents) if folder.exists())
    return there / "dense-crf" / name if os.access(known, os.W_OK) else None


def _key() -> str:
    """A hash of the sources, where they lie, the versions and the processor."""
    content = b"".join((HERE.parent / f"{name}.py").read_bytes() for name in SOURCES)
    settings = [os.environ.get(f"NUMBA_{name}") for name in ("CPU_NAME", "CPU_FEATURES", "OPT", "LOOP_VECTORIZE")]
    machine = (
        str(HERE),
        version("numba"),
        version("llvmlite"),
        sys.version,
        platform.machine(),
        _processor(),
        settings,
    )
    return hashlib.sha256(content + repr(machine).encode()).hexdigest()[:12]


def _processor() -> str:
    """Name and features of the processor, as far as they are known without a compiler."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n")[0].splitlines()
    except OSError:
        return platform.processor()
    return "\n".join(line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part", "isa")))
