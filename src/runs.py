"""Run folders: their name, their files, and how these are written. Imports no torch.

A folder holds `config.yaml`, `metrics.csv`, `best.ckpt`, `last.ckpt`, `confusion.npz`, `panels/` and `results.json`,
which is written last and whole: where it lies, the run is done.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from omegaconf import DictConfig, OmegaConf

from src.errors import InputError

# What does not change a result: where things lie and go, how they are shown, on what they run.
_NOT_IDENTITY = ("name", "runs", "resume", "overwrite", "logger", "panels")
_TRAINER_IDENTITY = ("precision", "max_time")


@dataclass(frozen=True)
class RunFolder:
    """Names of the files of a run, and reading and writing of those that are not Lightning's."""

    path: Path

    @property
    def config(self) -> Path:
        """The resolved config."""
        return self.path / "config.yaml"

    @property
    def metrics(self) -> Path:
        """One row per epoch."""
        return self.path / "metrics.csv"

    @property
    def best(self) -> Path:
        """Checkpoint of the best epoch by the monitor."""
        return self.path / "best.ckpt"

    @property
    def last(self) -> Path:
        """Checkpoint of the last completed epoch."""
        return self.path / "last.ckpt"

    @property
    def confusion(self) -> Path:
        """`ids` (N,) and per variant (N, C, C) int64."""
        return self.path / "confusion.npz"

    @property
    def panels(self) -> Path:
        """Pictures."""
        return self.path / "panels"

    @property
    def results(self) -> Path:
        """Scores and provenance; present only when the run is done."""
        return self.path / "results.json"

    @property
    def dashboard_id(self) -> Path:
        """The id of the run on W&B, under which a resumed run goes on."""
        return self.path / "wandb.id"

    def read_results(self) -> dict[str, Any]:
        """The content of `results.json`."""
        try:
            content: dict[str, Any] = json.loads(self.results.read_text())
        except FileNotFoundError:
            raise InputError(f"{self.results} is missing: the run is not finished; resume=last goes on.") from None
        except ValueError as error:
            raise InputError(f"{self.results} is not readable JSON ({error}); score the run again.") from error
        return content

    def write_results(
        self, results: Mapping[str, Any], ids: list[str], matrices: Mapping[str, npt.NDArray[np.int64]]
    ) -> None:
        """Write the confusion matrices, then `results.json`, each whole."""
        with replacing(self.confusion) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, ids=np.array(ids), **dict(matrices))
        with replacing(self.results) as temporary:
            temporary.write_text(json.dumps(results, indent=2, allow_nan=False) + "\n")

    def write_config(self, config: DictConfig) -> None:
        """Write the resolved config."""
        with replacing(self.config) as temporary:
            temporary.write_text(OmegaConf.to_yaml(config, resolve=True))

    def create(self) -> None:
        """Make the folder and see that it can be written to."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            probe = self.path / ".writable"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise InputError(
                f"{self.path}: cannot write the run folder ({error.strerror}); choose another with runs=FOLDER."
            ) from error

    def clear(self) -> None:
        """Delete what an earlier run left, `results.json` first."""
        for file in (self.results, self.confusion, self.best, self.last, self.metrics, self.dashboard_id, self.config):
            file.unlink(missing_ok=True)
        shutil.rmtree(self.panels, ignore_errors=True)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends well, and goes when it does not."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def identity(config: DictConfig) -> str:
    """Eight hex digits of the SHA-256 of the resolved config; equal for runs that ask the same of the same data."""
    content = OmegaConf.to_container(config, resolve=True)
    assert isinstance(content, dict)
    kept = {key: value for key, value in content.items() if key not in _NOT_IDENTITY}
    kept["trainer"] = {key: content["trainer"].get(key) for key in _TRAINER_IDENTITY}
    kept["data"] = {key: value for key, value in content["data"].items() if key != "root"}
    kept["data"]["prepare"] = {k: v for k, v in content["data"].get("prepare", {}).items() if k != "download"}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:8]


def run_folder(config: DictConfig) -> RunFolder:
    """The folder of this config: `name`, or one made of the choices, the seed and the config's `identity`."""
    choices = [config[group].name for group in ("data", "backbone", "head", "loss", "recipe")]
    name = config.name or "-".join([*choices, f"seed{config.seed}", identity(config)])
    return RunFolder(Path(config.runs) / name)


def is_done(config: DictConfig, folder: RunFolder) -> bool:
    """Whether the folder holds the finished run of this config, and is not to be overwritten.

    Raises:
        InputError: it holds a run, finished or not, of another config.
    """
    if config.overwrite or not folder.config.exists():
        return False
    stored = OmegaConf.load(folder.config)
    assert isinstance(stored, DictConfig)
    if identity(stored) != identity(config):
        raise InputError(
            f"{folder.path} holds a run of another config (see its config.yaml): choose another name=, or "
            "overwrite=true deletes that run."
        )
    if stored.data.root != config.data.root:
        raise InputError(
            f"{folder.path} holds a run on data.root={stored.data.root}: choose a name= for the one on "
            f"{config.data.root}, or overwrite=true deletes that run."
        )
    return folder.results.exists()


def resume_path(config: DictConfig, folder: RunFolder) -> Path | None:
    """The checkpoint to go on from; None starts anew.

    Raises:
        InputError: the checkpoint does not exist, or the folder holds an unfinished run and neither `resume` nor
            `overwrite` says what to do with it.
    """
    if config.resume is None:
        if folder.last.exists() and not config.overwrite:
            raise InputError(
                f"{folder.path} holds an unfinished run: resume=last goes on with it, overwrite=true starts anew."
            )
        return None
    path = folder.last if config.resume == "last" else Path(config.resume)
    if not path.is_file():
        where = "no epoch was completed in this run folder" if config.resume == "last" else "no such file"
        raise InputError(f"resume={config.resume}: {path} does not exist ({where}); leave resume out to start anew.")
    return path
