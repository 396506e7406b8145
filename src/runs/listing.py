"""The jobs of a sweep with their states, on the screen. No torch."""

import math
from collections.abc import Sequence
from contextlib import suppress

from omegaconf import DictConfig
from rich.console import Console

from src.core.errors import InputError, printable
from src.runs.folder import RunFolder
from src.runs.jobs import Job

_WIDTH = len("broken config")
_STYLES = {"done": "dim", "failed": "red", "broken config": "red", "in part": "yellow", "running": "yellow"}


def epochs_done(folder: RunFolder) -> int:
    """Number of epochs in the metrics of a run folder."""
    with suppress(OSError):
        return max(0, folder.metrics.read_bytes().count(b"\n") - 1)
    return 0


def in_words(job: Job) -> tuple[str, str]:
    """The state of a job as a reader knows it, and what there is to say about it.

    The states are: done, to be scored, in part, running, waiting, failed, broken config.
    """
    standing, reason = job.standing()
    if standing == "invalid" or job.folder is None or job.config is None:
        return "broken config", reason
    epoch = f"epoch {epochs_done(job.folder)} of {job.config.recipe.epochs}"
    return {
        "new": ("waiting", ""),
        "unfinished": ("in part", epoch),
        "running": ("running", epoch),
        "trained": ("to be scored", "trained already, and scored with other variants"),
        "failed": ("failed", f"{epoch}; {reason}"),
        "done": ("done", ""),
    }[standing]


def single(config: DictConfig) -> list[Job]:
    """The one job of a command that trains once; its config is checked already."""
    return [Job((), "", config, None)]


def show_jobs(jobs: Sequence[Job], console: Console) -> None:
    """Print a line for each job, and how many there are of each state."""
    found: dict[str, int] = {}
    for number, job in enumerate(jobs, start=1):
        state, said = in_words(job)
        found[state] = found.get(state, 0) + 1
        name = job.label if len(jobs) > 1 or job.folder is None else job.folder.path.name
        place = f"{number:>{len(str(len(jobs)))}}/{len(jobs)}"
        line = printable(f"{place}  {state:<{_WIDTH}}  {name}  {said}".rstrip())
        console.print(line, style=_STYLES.get(state), soft_wrap=True, highlight=False)
    counted = ", ".join(f"{count} {state}" for state, count in found.items())
    console.print(f"{len(jobs)} job{'s' * (len(jobs) != 1)}: {counted}", highlight=False, soft_wrap=True)


def tell(console: Console, heading: str, text: str, style: str | None = None) -> None:
    """Print a line of a plan: a heading, which may be empty, in a column of its own, and a text."""
    console.print(printable(f"{heading:<12}{text}"), style=style, soft_wrap=True, highlight=False)


def refuse_broken(jobs: Sequence[Job]) -> None:
    """Raise InputError if the config of a job cannot be trained with; `show_jobs` has said why."""
    if broken := sum(job.standing()[0] == "invalid" for job in jobs):
        raise InputError(f"{broken} of {len(jobs)} jobs cannot be trained as their config is; the list says why.")


def dry_run(jobs: Sequence[Job], console: Console) -> float:
    """List the jobs, and refuse broken ones; returns NaN, since nothing gets a score."""
    show_jobs(jobs, console)
    refuse_broken(jobs)
    return math.nan
