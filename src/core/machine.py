"""The cores and memory that this process may use, and what its allocator does with freed memory. No torch."""

import ctypes
import os
import platform
from collections.abc import Callable, Iterator
from pathlib import Path

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_MMAP_MAX = -1, -3, -4  # mallopt(3)
_BLOCK = 2**30  # bytes; larger ones still come from the system and go back to it
_CHOSEN = ("GLIBC_TUNABLES", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_")


def usable_cores() -> int:
    """Number of processor cores for this process: those of its CPU affinity if the system tells it, else all."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor_name() -> str:
    """The model of the processor, such as "AMD EPYC"; where the system does not tell it, its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def free_memory() -> int:
    """Bytes that this process may still take without harm to others; 4 GB on systems that do not tell."""
    try:
        fields = dict(line.split(":") for line in Path("/proc/meminfo").read_text(encoding="utf-8").splitlines())
        free = int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return 4 * 10**9
    return min([free, *_left_by_control_groups()])


def _left_by_control_groups(
    root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")
) -> Iterator[int]:
    """Bytes that the limits of a container or a job still leave, including the limits of the groups around it.

    Memory that caches files counts as free: the system can take it back.
    """
    try:
        groups = [line.split(":", 2) for line in own.read_text(encoding="utf-8").splitlines()]
    except OSError:
        return
    for _, controllers, path in groups:
        if controllers not in ("", "memory"):
            continue
        top, limit, used, cached = (  # version 2 and version 1 of control groups
            (root, "memory.max", "memory.current", "inactive_file")
            if controllers == ""
            else (root / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        )
        inner = top / path.lstrip("/")
        for folder in (inner, *inner.parents):
            try:
                most, taken = ((folder / name).read_text(encoding="utf-8").strip() for name in (limit, used))
                statistics = dict(
                    line.split() for line in (folder / "memory.stat").read_text(encoding="utf-8").splitlines()
                )
            except (OSError, ValueError):
                most = "max"
            if most.isdigit():
                files = int(statistics.get(cached, 0))
                yield max(0, int(most) - int(taken) + files)
            if folder == top:
                break


def keep_freed_memory() -> None:
    """Keep freed memory in the process; by default glibc gives blocks above 32 MB back to the system.

    The system clears every page that it gives out. On a CPU, this takes a quarter or more of the time of training
    steps (`make bench`). The price: the process never gets smaller again. Does nothing with another allocator, or if
    environment variables configure glibc's.
    """
    if not any(name in os.environ for name in _CHOSEN) and (mallopt := _glibc("mallopt")):
        if not mallopt(_M_MMAP_THRESHOLD, _BLOCK):  # older versions, such as 2.31, accept at most 32 MB
            mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, -1)


def give_back_freed_memory() -> None:
    """Give freed memory back to the system: after large work, and before processes are forked, which would share it."""
    if trim := _glibc("malloc_trim"):
        trim(0)


def _glibc(name: str) -> Callable[..., int] | None:
    """A function of glibc, or None on systems without glibc."""
    try:
        return getattr(ctypes.CDLL(None), name)  # type: ignore[no-any-return]
    except (AttributeError, OSError, TypeError):  # other Unix, and Windows
        return None
