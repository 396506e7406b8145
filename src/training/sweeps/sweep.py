"""Jobs of a sweep, each in its own process: skips finished jobs, resumes broken ones, reports failures at once."""

import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from src.core.command.entry import CHILD
from src.core.compose import typed
from src.core.errors import InputError, printable
from src.core.machine import usable_cores
from src.runs.folder import RunFolder
from src.runs.jobs import Job
from src.runs.listing import epochs_done


@dataclass
class _Running:
    job: Job
    folder: RunFolder
    process: "subprocess.Popen[bytes]"
    slot: int
    bar: TaskID
    started: float


class Sweep:
    """Runs the unfinished jobs, some at a time, and prints a line for each job that ends.

    Args:
        jobs: all of them.
        at_once: number of processes at a time.
        console: for lines and progress.
    """

    def __init__(self, jobs: Sequence[Job], *, at_once: int, console: Console) -> None:
        self.jobs = jobs
        self.console = console
        self.at_once = at_once
        self.free = list(range(at_once))
        self.ended = 0
        self.failed = 0

    def run(self) -> int:
        """Run what is missing; returns the number of jobs that failed."""
        todo: list[Job] = []
        for job in self.jobs:
            standing, reason = job.standing()
            if standing == "done":
                self._line(job, "done before")
            elif standing == "running":
                self._line(job, "running", "another process is at work on it")
            elif standing == "invalid":
                self.failed += 1
                self._line(job, "FAILED", reason)
            else:
                todo.append(job)
        running: list[_Running] = []
        columns = TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
        with Progress(*columns, console=self.console, transient=True) as progress:
            whole = progress.add_task("jobs", total=len(self.jobs))
            try:
                while todo or running:
                    progress.update(whole, completed=self.ended)
                    while self.free and (ready := _next(todo, running)) is not None:
                        running.append(self._start(ready, progress))
                    time.sleep(0.2)
                    for one in running:
                        progress.update(one.bar, completed=epochs_done(one.folder))
                    for one in [one for one in running if one.process.poll() is not None]:
                        running.remove(one)
                        progress.remove_task(one.bar)
                        self._end(one)
            finally:
                for one in running:
                    assert one.process.stdin is not None
                    one.process.stdin.close()  # this ends the job
                    one.process.wait()
        return self.failed

    def summary(self, words: list[str]) -> None:
        """Print the table of the finished jobs, and the command for the whole report."""
        if len(self.jobs) > 1 and any(job.standing()[0] == "done" for job in self.jobs):
            with self.console.status("comparing"):
                from src.reporting.collect import of_jobs
                from src.reporting.output import formats  # imported here: it takes a second
                from src.reporting.request import of_sweep

                question = of_sweep(of_jobs(self.jobs), words)
            try:
                formats.show(question.compare(resamples=10_000), self.console)
            except InputError as error:
                self.console.print(printable(f"no table: {error}"), soft_wrap=True)
        self.console.print(f"\n{len(self.jobs)} jobs, {self.failed} failed. With plots and pictures:")
        self.console.print(f"  python -m src.report {shlex.join(words)}", soft_wrap=True, highlight=False)

    def _start(self, job: Job, progress: Progress) -> _Running:
        folder = job.folder
        assert folder is not None and job.config is not None
        folder.create()
        folder.failure.unlink(missing_ok=True)
        job.config.overwrite = False  # from now on, what the folder holds is this job's
        slot = self.free.pop(0)
        process = started(job.options, folder.log, slot=slot, at_once=self.at_once)
        bar = progress.add_task(
            f"  {printable(job.label)}", total=job.config.recipe.epochs, completed=epochs_done(folder)
        )
        return _Running(job, folder, process, slot, bar, time.monotonic())

    def _end(self, one: _Running) -> None:
        self.free.append(one.slot)
        assert one.process.stdin is not None
        one.process.stdin.close()
        took = f"{time.monotonic() - one.started:.0f} s"
        standing, reason = one.job.standing()
        if one.process.returncode == 0 and standing == "done":
            best = one.folder.read_results(trained=True)["monitor"]
            self._line(one.job, "done", f"{best['key']} {best['value']:.4f}, {took}")
            return
        if standing == "running":
            self._line(one.job, "running", "another process is at work on it")
            return
        self.failed += 1
        if standing != "failed":
            reason = f"ended with status {one.process.returncode}" + _because(one.process.returncode)
            one.folder.fail(reason)
        self._line(one.job, "FAILED", f"after {took}: {reason} See {one.folder.log}")

    def _line(self, job: Job, status: str, text: str = "") -> None:
        self.ended += 1
        style = {"FAILED": "red", "done before": "dim"}.get(status)
        number = f"{self.ended:>{len(str(len(self.jobs)))}}/{len(self.jobs)}"
        line = printable(f"{number}  {status:<11}  {job.label}  {text}")
        self.console.print(line, style=style, soft_wrap=True, highlight=False)


def started(options: Sequence[str], log: Path, *, slot: int, at_once: int) -> "subprocess.Popen[bytes]":
    """A process of `src.train`, which ends when its standard input is closed.

    Args:
        options: the words of its command line.
        log: takes what it prints.
        slot: its number among those that run at a time, from 0.
        at_once: how many run at a time and share cores and GPUs.
    """
    environment = os.environ | {CHILD: "1", "COLUMNS": "120", "PYTHONUNBUFFERED": "1"}
    if at_once > 1:
        threads = str(max(1, usable_cores() // at_once))
        environment = {"OMP_NUM_THREADS": threads, "NUMBA_NUM_THREADS": threads} | environment
    if devices := _devices():
        environment["CUDA_VISIBLE_DEVICES"] = ",".join(_share(devices, slot, at_once))
    with log.open("ab") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "src.train", *typed(options), "hydra.mode=RUN"],
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=environment,
        )


def _next(todo: list[Job], running: list[_Running]) -> Job | None:
    """The first job that may start: no running job may use its folder."""
    held = {one.folder for one in running}
    for job in todo:
        if job.folder not in held:
            todo.remove(job)
            return job
    return None


def _because(status: int) -> str:
    """A text on the signal that killed a process, if one did."""
    return f" (signal {-status}; signal 9 often means that the system ran out of memory)." if status < 0 else "."


def _share(devices: Sequence[str], slot: int, at_once: int) -> list[str]:
    """The devices for one of the jobs that run at a time: all devices for a single job, else one for each job."""
    return list(devices[slot::at_once]) or [devices[slot % len(devices)]]


def _devices() -> list[str]:
    """Names of the CUDA devices, if there are several to share among jobs."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        found = [name for name in named.split(",") if name]
    elif (tool := shutil.which("nvidia-smi")) is not None:
        listed = subprocess.run(
            [tool, "--query-gpu=index", "--format=csv,noheader"], capture_output=True, encoding="utf-8"
        )
        found = listed.stdout.split()
    else:
        found = []
    return found if len(found) > 1 else []
