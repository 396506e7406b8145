"""Where compiled code is kept: a folder named after all that it depends on, so that what lies there is never stale.

Numba itself looks for changes in a function's own file only. No Numba is imported here.
"""

import hashlib
import os
import platform
import sys
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

SOURCES = ("simd", "jit", "lattice", "construction", "planes", "meanfield")
HERE = Path(__file__).parent


@lru_cache
def folder() -> Path | None:
    """In `NUMBA_CACHE_DIR`, beside the sources, or else in the user's folder of caches; None: nothing can be kept."""
    name = f"numba-{_key()}"
    if chosen := os.environ.get("NUMBA_CACHE_DIR"):
        return Path(chosen).absolute() / name
    if os.access(HERE, os.W_OK):
        return HERE / "__pycache__" / name
    users = os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME") or "~/.cache"
    there = Path(os.path.expanduser(users))  # noqa: PTH111 - Path.expanduser raises where there is no home
    known = next(folder for folder in (there, *there.parents) if folder.exists())
    return there / "dense-crf" / name if os.access(known, os.W_OK) else None


def _key() -> str:
    """Of the sources, the versions and the processor."""
    content = b"".join((HERE / f"{name}.py").read_bytes() for name in SOURCES)
    settings = [os.environ.get(f"NUMBA_{name}") for name in ("CPU_NAME", "CPU_FEATURES", "OPT", "LOOP_VECTORIZE")]
    machine = (version("numba"), version("llvmlite"), sys.version, platform.machine(), _processor(), settings)
    return hashlib.sha256(content + repr(machine).encode()).hexdigest()[:12]


def _processor() -> str:
    """Its name and features, as far as they are to be had without asking a compiler."""
    try:
        lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
    except OSError:
        return platform.processor()
    return "\n".join(line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part", "isa")))
