"""The cores and memory that this process may use, and what its allocator does with freed memory. No torch."""

import ctypes
import os
import platform
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_MMAP_MAX = -1, -3, -4  # mallopt(3)
GROUPS, OWN_GROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
_BLOCK = 2**30  # bytes; larger ones still come from the system and go back to it
_CHOSEN = ("GLIBC_TUNABLES", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_")


def usable_cores() -> int:
    """Number of processor cores for this process: what its CPU affinity and its control groups leave, else all."""
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([there, *_cores_of_control_groups()]))


def _cores_of_control_groups(root: Path = GROUPS, own: Path = OWN_GROUPS) -> Iterator[int]:
    """Cores that the limits of a container or a job allow, rounded up, including the groups around it."""
    for folder, version in _control_groups("cpu", root, own):
        try:
            if version == 2:
                quota, period = (folder / "cpu.max").read_text(encoding="utf-8").split()
            else:
                quota, period = (
                    (folder / f"cpu.cfs_{name}_us").read_text(encoding="utf-8").strip() for name in ("quota", "period")
                )
            if quota.isdigit():  # else "max" or -1: no limit
                yield -(-int(quota) // int(period))
        except (OSError, ValueError, ZeroDivisionError):
            continue


def _control_groups(controller: str, root: Path, own: Path) -> Iterator[tuple[Path, int]]:
    """The folders of this process's control groups for a controller, from the inside out, each with its version."""
    try:
        lines = [line.split(":", 2) for line in own.read_text(encoding="utf-8").splitlines()]
    except OSError:
        return
    for _, controllers, path in lines:
        if controllers and controller not in controllers.split(","):
            continue
        top = root / controller if controllers else root
        inner = top / path.lstrip("/")
        for folder in (inner, *inner.parents):
            yield folder, 1 if controllers else 2
            if folder == top:
                break


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


def _left_by_control_groups(root: Path = GROUPS, own: Path = OWN_GROUPS) -> Iterator[int]:
    """Bytes that the limits of a container or a job still leave, including the limits of the groups around it.

    Memory that caches files counts as free: the system can take it back.
    """
    names = {1: ("limit_in_bytes", "usage_in_bytes", "total_inactive_file"), 2: ("max", "current", "inactive_file")}
    for folder, version in _control_groups("memory", root, own):
        limit, used, cached = names[version]
        try:
            most, taken = ((folder / f"memory.{name}").read_text(encoding="utf-8").strip() for name in (limit, used))
            statistics = dict(
                line.split() for line in (folder / "memory.stat").read_text(encoding="utf-8").splitlines()
            )
            if most.isdigit():
                yield max(0, int(most) - int(taken) + int(statistics.get(cached, 0)))
        except (OSError, ValueError):
            continue


def free_shared_memory() -> int | None:
    """Bytes free in /dev/shm, through which processes hand each other tensors; None on systems without it."""
    try:
        return shutil.disk_usage("/dev/shm").free
    except OSError:
        return None


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
