import os
import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library has another allocator")

SCRIPT = """
import numpy as np
from pathlib import Path
from src.core.machine import give_back_freed_memory, keep_freed_memory

def held():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 // 10**6

before = held()
keep_freed_memory()
np.ones(25_000_000)
print(held() - before)
give_back_freed_memory()
print(held() - before)
"""


def in_bytes(**environment: str) -> list[int]:
    """What a process holds of 200 MB that it has freed, and after it has given back what it holds."""
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=True)
    return [int(line) for line in done.stdout.split()]


def test_freed_memory_is_kept_until_it_is_given_back() -> None:
    kept, given_back = in_bytes()
    assert kept > 195 and given_back < 20


def test_what_the_environment_says_of_the_allocator_holds() -> None:
    kept, _ = in_bytes(MALLOC_MMAP_THRESHOLD_=str(2**20))
    assert kept < 20
