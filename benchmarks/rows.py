"""A row of the table that `make bench` prints, and how contestants take turns."""

import platform
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.progress import Progress


@dataclass(frozen=True)
class Row:
    what: str
    ours: str
    beside: str
    ratios: list[float]  # one for each round, in which all contestants had their turn
    target: str  # ">= 2", "<= 1.2", or empty

    def cells(self) -> list[str]:
        if not self.ratios:
            return [self.what, self.ours, self.beside, "not measured", "", self.target, ""]
        median = statistics.median(self.ratios)
        digits = 3 if median < 0.1 else 2
        spread = f"{min(self.ratios):.{digits}f} - {max(self.ratios):.{digits}f}"
        return [self.what, self.ours, self.beside, f"{median:.{digits}f}", spread, self.target, self.reached(median)]

    def reached(self, median: float) -> str:
        if not self.target:
            return ""
        sense, bound = self.target.split()
        return "yes" if (median >= float(bound) if sense == ">=" else median <= float(bound)) else "no"


def in_turns(
    contestants: dict[str, Callable[[], float]], *, rounds: int, progress: Progress, what: str
) -> dict[str, list[float]]:
    """What each contestant returns, round by round after one that does not count, so that disturbances fall on all."""
    found: dict[str, list[float]] = {name: [] for name in contestants}
    task = progress.add_task(what, total=(rounds + 1) * len(contestants))
    for number in range(rounds + 1):
        for name, turn in contestants.items():
            value = turn()
            if number > 0:
                found[name].append(value)
            progress.advance(task)
    progress.remove_task(task)
    return found


def ratios(above: list[float], below: list[float]) -> list[float]:
    return [a / b for a, b in zip(above, below, strict=True)]


def machine() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    cpu = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"{cpu}, {torch.get_num_threads()} threads"
    return f"{device}, torch {torch.__version__}"
