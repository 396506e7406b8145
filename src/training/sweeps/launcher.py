"""Our launcher, which runs the jobs of a Hydra sweep on this machine.

It is an ordinary Hydra launcher, so on a cluster `hydra/launcher=submitit_slurm` or `ray` can replace it.
"""

import importlib
import sys
from collections.abc import Sequence
from types import ModuleType

from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig
from rich.console import Console

from src.core.compose import LAUNCHER, typed
from src.core.errors import InputError
from src.runs.config_hash import training_identity
from src.runs.folder import RunFolder
from src.runs.jobs import Job, compose_all
from src.runs.listing import dry_run
from src.training.sweeps.sweep import Sweep


class JobLauncher(Launcher):
    """Hydra's interface to `Sweep`."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """See Hydra."""
        self.config = config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """See Hydra; a failed job does not stop the others."""
        jobs = compose_all(job_overrides)
        if jobs[0].problem is not None and len({job.problem for job in jobs}) == 1:
            raise InputError(jobs[0].problem)
        _refuse_shared_folders(jobs)
        if self.config.dry_run:
            dry_run(jobs, Console(markup=False, emoji=False))
            return [
                JobReturn(overrides=job.options, cfg=job.config, status=JobStatus.COMPLETED, _return_value=None)
                for job in jobs
            ]
        sweep = Sweep(jobs, at_once=self.config.jobs, console=Console(markup=False, emoji=False))
        failed = sweep.run()
        sweep.summary(_typed(jobs, self.config))
        if failed:
            raise InputError(f"{failed} of {len(jobs)} jobs failed; the same command tries them again.")
        return [_answer(job) for job in jobs]


def register_launcher() -> None:
    """Register the launcher with Hydra, which accepts launchers only from the package `hydra_plugins`."""
    plugins = Plugins.instance()
    try:
        package = importlib.import_module("hydra_plugins")
    except ImportError:
        package = sys.modules["hydra_plugins"] = ModuleType("hydra_plugins")
    package.seglab = sys.modules["hydra_plugins.seglab"] = sys.modules[__name__]  # type: ignore[attr-defined]
    JobLauncher.__module__ = LAUNCHER.rpartition(".")[0]
    plugins.register(JobLauncher)


def _refuse_shared_folders(jobs: Sequence[Job]) -> None:
    """Raise InputError if two different trainings would write into one folder."""
    asked: dict[RunFolder, str] = {}
    for job in jobs:
        if job.config is not None and job.folder is not None:
            found = training_identity(job.config)
            if asked.setdefault(job.folder, found) != found:
                raise InputError(
                    f"name={job.config.name}: several jobs of this sweep have it; leave name= out, or let it differ: "
                    "'name=NAME-${seed}'."
                )


def _answer(job: Job) -> JobReturn:
    """The monitored value, for sweepers that search; None if another process is working on the job."""
    results = job.folder.read_results(trained=True) if job.folder is not None and job.standing()[0] == "done" else None
    value = float(results["monitor"]["value"]) if results is not None else None
    return JobReturn(overrides=job.options, cfg=job.config, status=JobStatus.COMPLETED, _return_value=value)


def _typed(jobs: Sequence[Job], config: DictConfig) -> list[str]:
    """The options of all jobs as words of one command line, without what a table sweeps by itself."""
    params = {f"{key}={value}" for key, value in (config.hydra.sweeper.get("params") or {}).items()}
    values: dict[str, list[str]] = {}
    for job in jobs:
        for word in typed(job.options):
            key, _, value = word.partition("=")
            if value not in values.setdefault(key, []):
                values[key].append(value)
    words = [f"{key}={','.join(found)}" for key, found in values.items() if not key.startswith("hydra.")]
    return [word for word in words if word not in params]
