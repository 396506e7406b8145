"""How many processor cores this process may use. No torch."""

import os


def usable_cores() -> int:
    """Those of its affinity where the system tells it, else all."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
