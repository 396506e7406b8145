"""Jobs of a sweep: composed, checked, and their state, all from config and run folders. No torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from hydra import compose
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from src.core.compose import composing
from src.core.errors import InputError
from src.runs.checks.commands import check_train, prepare
from src.runs.checks.records import read_reason
from src.runs.folder import RunFolder
from src.runs.state import run_folder, scored_folder, state

Standing = Literal["invalid", "new", "unfinished", "trained", "done", "failed", "running"]


@dataclass(frozen=True)
class Job:
    """One training of a sweep.

    Attributes:
        options: the words of its command line.
        label: the words that differ between the jobs of the sweep.
        config: resolved; None if the options make no config.
        problem: why the job cannot be run; None if it can.
    """

    options: tuple[str, ...]
    label: str
    config: DictConfig | None
    problem: str | None

    @property
    def folder(self) -> RunFolder | None:
        """Its run folder, whether or not it exists."""
        return run_folder(self.config) if self.config is not None else None

    @property
    def scored(self) -> RunFolder | None:
        """The folder of its scores: the run folder, or one inside it if the run was scored with other variants."""
        return scored_folder(self.config, run_folder(self.config)) if self.config is not None else None

    def standing(self) -> tuple[Standing, str]:
        """The state of the job, and the reason if it failed or is invalid."""
        if self.problem is not None or self.config is None:
            return "invalid", self.problem or ""
        folder = run_folder(self.config)
        try:
            found: Standing = state(self.config, folder)
        except InputError as error:
            return "invalid", str(error)
        if found != "done" and folder.is_held():
            return "running", ""
        if found == "done":
            return found, ""
        try:
            reason = read_reason(folder.failure)
        except InputError as error:
            reason = str(error)
        return ("failed", reason) if folder.failure.exists() else (found, "")


def expand(words: Sequence[str]) -> list[Job]:
    """The jobs that `python -m src.train -m WORDS` makes, in its order.

    Raises:
        HydraException: the words do not make a config.
    """
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    with composing():
        words = [*words, "hydra.mode=RUN"]
        fixed = [word for word in words if not _sweeps(word)]
        params = compose("train", overrides=fixed, return_hydra_config=True).hydra.sweeper.get("params") or {}
        axes = [f"{key}={value}" for key, value in params.items()]
        parsed = OverridesParser.create().parse_overrides([*axes, *words])
        (batch,) = BasicSweeper.split_arguments(parsed, None)
    return compose_all(batch)


def _sweeps(word: str) -> bool:
    return bool(OverridesParser.create().parse_override(word).is_sweep_override())


def compose_all(batch: Sequence[Sequence[str]]) -> list[Job]:
    """One job per list of options, checked as `src.train` would do."""
    common = set(batch[0]).intersection(*batch) if len(batch) > 1 else set()
    return [_job(tuple(options), " ".join(word for word in options if word not in common)) for options in batch]


def _job(options: tuple[str, ...], label: str) -> Job:
    config = None
    try:
        with composing():
            config = compose("train", overrides=list(options))
        prepare(config)
        OmegaConf.resolve(config)
        check_train(config)
    except (InputError, HydraException, OmegaConfBaseException) as error:
        return Job(options, label, config, str(error).partition("\nConfig search path")[0].strip())
    return Job(options, label, config, None)
