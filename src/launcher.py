"""Runs the jobs of a sweep on this machine: each in a process of its own, what is done is left out, what broke resumed.

A Hydra launcher like any other, so `hydra/launcher=submitit_slurm` or `ray` takes its place on a cluster.
"""

import importlib
import os
import shutil
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import ModuleType

from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from src.cores import usable_cores
from src.crf import presets
from src.errors import InputError
from src.jobs import Job, compose_all
from src.runs import RunFolder

CHILD = "SEGLAB_JOB"  # set for a job's process, which ends when its standard input does: with the sweep


class JobLauncher(Launcher):
    """Hydra's way to us."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """See Hydra."""
        self.config = config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """See Hydra; a failed job does not keep the others from running."""
        jobs = compose_all(job_overrides)
        if jobs[0].problem is not None and len({job.problem for job in jobs}) == 1:
            raise InputError(jobs[0].problem)
        sweep = Sweep(jobs, at_once=self.config.jobs, console=Console())
        failed = sweep.run()
        sweep.summary(_typed(jobs, self.config))
        if failed:
            raise InputError(f"{failed} of {len(jobs)} jobs failed; the same command tries them again.")
        return [_answer(job) for job in jobs]


def _register() -> None:
    """Tell Hydra of the launcher; it takes launchers from the package `hydra_plugins` alone."""
    plugins = Plugins.instance()
    try:
        package = importlib.import_module("hydra_plugins")
    except ImportError:
        package = sys.modules["hydra_plugins"] = ModuleType("hydra_plugins")
    package.seglab = sys.modules["hydra_plugins.seglab"] = sys.modules[__name__]  # type: ignore[attr-defined]
    JobLauncher.__module__ = "hydra_plugins.seglab"
    plugins.register(JobLauncher)


_register()


def _answer(job: Job) -> JobReturn:
    """The monitored value, for sweepers that search; None of a job that another process is at work on."""
    results = job.folder.read_results() if job.folder is not None and job.standing()[0] == "done" else None
    value = float(results["monitor"]["value"]) if results is not None else None
    return JobReturn(overrides=job.options, cfg=job.config, status=JobStatus.COMPLETED, _return_value=value)


@dataclass
class _Running:
    job: Job
    folder: RunFolder
    process: "subprocess.Popen[bytes]"
    slot: int
    bar: TaskID
    started: float


class Sweep:
    """The jobs that are not done yet, so many at once, with a line for each that ends.

    Args:
        jobs: all of them.
        at_once: how many processes.
        console: for lines and progress.
    """

    def __init__(self, jobs: Sequence[Job], *, at_once: int, console: Console) -> None:
        self.jobs = jobs
        self.console = console
        self.free = list(range(at_once))
        self.ended = 0
        self.failed = 0
        self.devices = _devices()
        self.threads = max(1, usable_cores() // at_once) if at_once > 1 else None

    def run(self) -> int:
        """Run what is missing; the number of jobs that failed."""
        todo: deque[Job] = deque()
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
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
        with Progress(*columns, console=self.console, transient=True) as progress:
            whole = progress.add_task("jobs", total=len(self.jobs))
            try:
                while todo or running:
                    progress.update(whole, completed=self.ended)
                    while todo and self.free:
                        running.append(self._start(todo.popleft(), progress))
                    time.sleep(0.2)
                    for one in running:
                        progress.update(one.bar, completed=_epochs(one.folder))
                    for one in [one for one in running if one.process.poll() is not None]:
                        running.remove(one)
                        progress.remove_task(one.bar)
                        self._end(one)
            finally:
                for one in running:
                    assert one.process.stdin is not None
                    one.process.stdin.close()  # which ends it
                    one.process.wait()
        return self.failed

    def summary(self, words: list[str]) -> None:
        """The table of what is done, and how to get at all of it."""
        if len(self.jobs) > 1 and any(job.standing()[0] == "done" for job in self.jobs):
            with self.console.status("comparing"):
                from src.question import of_sweep
                from src.reporting import formats  # which takes a second to import
                from src.reporting.cells import of_jobs

                question = of_sweep(of_jobs(self.jobs), words)
            try:
                formats.show(question.compare(resamples=10_000), self.console)
            except InputError as error:
                self.console.print(f"no table: {error}", soft_wrap=True)
        self.console.print(f"\n{len(self.jobs)} jobs, {self.failed} failed. With plots and pictures:")
        self.console.print(f"  python -m src.report {' '.join(words)}", soft_wrap=True, highlight=False)

    def _start(self, job: Job, progress: Progress) -> _Running:
        folder = job.folder
        assert folder is not None and job.config is not None
        folder.create()
        slot = self.free.pop(0)
        environment = os.environ | {CHILD: "1", "COLUMNS": "120", "PYTHONUNBUFFERED": "1"}
        if self.threads is not None:
            environment = {"OMP_NUM_THREADS": str(self.threads), "NUMBA_NUM_THREADS": str(self.threads)} | environment
        if self.devices:
            environment["CUDA_VISIBLE_DEVICES"] = self.devices[slot % len(self.devices)]
        with folder.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "src.train", *presets.typed(job.options), "hydra.mode=RUN"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
            )
        bar = progress.add_task(f"  {job.label}", total=job.config.recipe.epochs, completed=_epochs(folder))
        return _Running(job, folder, process, slot, bar, time.monotonic())

    def _end(self, one: _Running) -> None:
        self.free.append(one.slot)
        assert one.process.stdin is not None
        one.process.stdin.close()
        took = f"{time.monotonic() - one.started:.0f} s"
        standing, reason = one.job.standing()
        if one.process.returncode == 0 and standing == "done":
            best = one.folder.read_results()["monitor"]
            self._line(one.job, "done", f"{best['key']} {best['value']:.4f}, {took}")
            return
        self.failed += 1
        if standing != "failed":
            reason = f"ended with status {one.process.returncode}" + _because(one.process.returncode)
            one.folder.failure.write_text(reason + "\n")
        self._line(one.job, "FAILED", f"after {took}: {reason} See {one.folder.log}")

    def _line(self, job: Job, status: str, text: str = "") -> None:
        self.ended += 1
        style = {"FAILED": "red", "done before": "dim"}.get(status)
        number = f"{self.ended:>{len(str(len(self.jobs)))}}/{len(self.jobs)}"
        self.console.print(f"{number}  {status:<11}  {job.label}  {text}", style=style, soft_wrap=True, highlight=False)


def _epochs(folder: RunFolder) -> int:
    """How many epochs are in its metrics."""
    with suppress(OSError):
        return max(0, folder.metrics.read_bytes().count(b"\n") - 1)
    return 0


def _because(status: int) -> str:
    """What is known of a process that was killed."""
    return f" (signal {-status}; 9 is often the system running out of memory)." if status < 0 else "."


def _devices() -> list[str]:
    """Names of the CUDA devices, if there are several to share out among jobs."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        found = [name for name in named.split(",") if name]
    elif (tool := shutil.which("nvidia-smi")) is not None:
        listed = subprocess.run([tool, "--query-gpu=index", "--format=csv,noheader"], capture_output=True, text=True)
        found = listed.stdout.split()
    else:
        found = []
    return found if len(found) > 1 else []


def _typed(jobs: Sequence[Job], config: DictConfig) -> list[str]:
    """The options of all jobs as words of one command line, but for what a table sweeps by itself."""
    params = {f"{key}={value}" for key, value in (config.hydra.sweeper.get("params") or {}).items()}
    values: dict[str, list[str]] = {}
    for job in jobs:
        for word in presets.typed(job.options):
            key, _, value = word.partition("=")
            if value not in values.setdefault(key, []):
                values[key].append(value)
    words = [f"{key}={','.join(found)}" for key, found in values.items() if not key.startswith("hydra.")]
    return [word for word in words if word not in params]
