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
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from filelock import FileLock, Timeout
from omegaconf import DictConfig, OmegaConf

from src.crf.presets import tuned_on
from src.errors import InputError

# What does not change a result: where things lie and go, how they are shown, on what they run.
_NOT_IDENTITY = ("name", "runs", "resume", "overwrite", "logger", "panels", "table", "jobs", "keep_logits", "output")
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
    def trimaps(self) -> Path:
        """Per variant (N, len(RADII), 2, C) int32 hits and unions near boundaries, images as in `confusion`."""
        return self.path / "trimap.npz"

    @property
    def panels(self) -> Path:
        """Pictures."""
        return self.path / "panels"

    @property
    def results(self) -> Path:
        """Scores and provenance; present only when the run is done."""
        return self.path / "results.json"

    @property
    def failure(self) -> Path:
        """Why the last attempt failed; not there if none was made or it went well."""
        return self.path / "failed.txt"

    @property
    def log(self) -> Path:
        """What the run printed, if a sweep started it."""
        return self.path / "log.txt"

    @property
    def logits(self) -> Path:
        """The network's logits for the validation images, if they are kept."""
        return self.path / "logits"

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
        self,
        results: Mapping[str, Any],
        ids: list[str],
        matrices: Mapping[str, npt.NDArray[np.int64]],
        trimaps: Mapping[str, npt.NDArray[np.int32]],
    ) -> None:
        """Write the counts per image, then `results.json`, each whole."""
        files: dict[Path, Mapping[str, Any]] = {self.confusion: matrices, self.trimaps: trimaps}
        for path, counts in files.items():
            with replacing(path) as temporary, temporary.open("wb") as file:
                np.savez_compressed(file, allow_pickle=False, ids=np.array(ids), **dict(counts))
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

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Hold the folder, made if needed, for this process; an error that ends the block is left in `failed.txt`.

        Raises:
            InputError: the folder cannot be written to, or another process works in it.
        """
        self.create()
        try:
            with FileLock(self.path / ".lock", blocking=False):
                self.failure.unlink(missing_ok=True)
                try:
                    yield
                except Exception as error:
                    kind = "" if isinstance(error, InputError) else f"{type(error).__name__}: "
                    self.failure.write_text(f"{kind}{error}\n")
                    raise
        except Timeout:
            raise InputError(f"{self.path}: another process is at work in this run folder.") from None

    def is_held(self) -> bool:
        """Whether a process is at work in the folder."""
        if not self.path.is_dir():
            return False
        try:
            with FileLock(self.path / ".lock", blocking=False):
                return False
        except Timeout:
            return True

    def clear(self) -> None:
        """Delete what an earlier run left, `results.json` first."""
        for file in (
            self.results,
            self.confusion,
            self.trimaps,
            self.failure,
            self.best,
            self.last,
            self.metrics,
            self.dashboard_id,
            self.config,
        ):
            file.unlink(missing_ok=True)
        for folder in (self.panels, self.logits, self.path / "evaluations"):
            shutil.rmtree(folder, ignore_errors=True)


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
    return _hash(circumstances_left_out(config))


def training_identity(config: DictConfig) -> str:
    """The same of what a network is trained with: without the CRF and the variants it is scored with afterwards."""
    asked = {key: value for key, value in circumstances_left_out(config).items() if key not in ("crf", "variants")}
    left_out = {name: sorted(ids) for name, ids in tuned_on(config).items()}  # of the images that choose the best epoch
    return _hash({**asked, "left_out": left_out} if left_out else asked)


def circumstances_left_out(config: DictConfig) -> dict[str, Any]:
    """The resolved config without what does not change a result."""
    content = OmegaConf.to_container(config, resolve=True)
    assert isinstance(content, dict)
    kept = {str(key): value for key, value in content.items() if key not in _NOT_IDENTITY}
    kept["trainer"] = {key: content["trainer"].get(key) for key in _TRAINER_IDENTITY}
    kept["data"] = {key: value for key, value in content["data"].items() if key != "root"}
    kept["data"]["prepare"] = {k: v for k, v in content["data"].get("prepare", {}).items() if k != "download"}
    return kept


def _hash(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]


def run_folder(config: DictConfig) -> RunFolder:
    """The folder of this config's training: `name`, or one made of the choices, the seed and the identity."""
    choices = [config[group].name for group in ("data", "backbone", "head", "loss", "recipe")]
    name = config.name or "-".join([*choices, f"seed{config.seed}", training_identity(config)])
    return RunFolder(Path(config.runs) / name)


def scored_folder(config: DictConfig, folder: RunFolder) -> RunFolder:
    """Where the variants of this config are scored: in the run folder, or inside it if others were scored there."""
    stored = _stored(folder)
    if stored is None or not folder.results.exists() or identity(stored) == identity(config):
        return folder
    return RunFolder(folder.path / "evaluations" / evaluation_name(config))


def evaluation_name(config: DictConfig) -> str:
    """Of a folder of scores: the data, the CRF, and a hash of all that was asked."""
    return f"{config.data.name}-{config.crf.name}-{identity(config)}"


State = Literal["new", "unfinished", "trained", "done"]


def state(config: DictConfig, folder: RunFolder) -> State:
    """What stands in the folder of this config; `trained` is a finished run whose variants were others.

    Raises:
        InputError: it holds a run, finished or not, of another config.
    """
    stored = _stored(folder)
    if config.get("overwrite") or stored is None:
        return "new"
    if training_identity(stored) != training_identity(config):
        raise InputError(
            f"{folder.path} holds a run of another config (see its config.yaml): choose another name=, or "
            "overwrite=true deletes that run."
        )
    if stored.data.root != config.data.root:
        raise InputError(
            f"{folder.path} holds a run on data.root={stored.data.root}: choose a name= for the one on "
            f"{config.data.root}, or overwrite=true deletes that run."
        )
    if not folder.results.exists():
        return "unfinished" if folder.last.exists() else "new"
    return "done" if scored_folder(config, folder).results.exists() else "trained"


def resume_path(config: DictConfig, folder: RunFolder) -> Path | None:
    """The checkpoint to go on from; None starts anew.

    Raises:
        InputError: the checkpoint that was asked for does not exist.
    """
    if config.resume is None or config.overwrite:
        return None
    if config.resume == "auto":
        return folder.last if folder.last.is_file() else None
    path = folder.last if config.resume == "last" else Path(config.resume)
    if not path.is_file():
        where = "no epoch was completed in this run folder" if config.resume == "last" else "no such file"
        raise InputError(f"resume={config.resume}: {path} does not exist ({where}); leave resume out to start anew.")
    return path


def _stored(folder: RunFolder) -> DictConfig | None:
    if not folder.config.exists():
        return None
    stored = OmegaConf.load(folder.config)
    assert isinstance(stored, DictConfig)
    return stored
