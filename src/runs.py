"""Run folders: their name, their files, and how these are written. Imports no torch.

A folder holds `config.yaml`, `metrics.csv`, `best.ckpt`, `last.ckpt`, `confusion.npz`, `panels/` and `results.json`,
which is written last and whole: where it lies, the run is done.
"""

import json
import os
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from filelock import FileLock, Timeout
from omegaconf import DictConfig, OmegaConf

from src.errors import InputError


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
            with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
                _write_member(archive, "ids", np.array(ids))
                for name in counts:  # one at a time in memory, unlike numpy.savez_compressed
                    _write_member(archive, name, counts[name])
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
                    self.fail(f"{kind}{error}")
                    raise
        except Timeout:
            raise InputError(f"{self.path}: another process is at work in this run folder.") from None

    def fail(self, reason: str) -> None:
        """Leave why the run failed."""
        with replacing(self.failure) as temporary:
            temporary.write_text(reason.strip() + "\n")

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


def _write_member(archive: zipfile.ZipFile, name: str, array: npt.NDArray[Any]) -> None:
    """Add an array to an npz file."""
    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
        np.lib.format.write_array(member, array, allow_pickle=False)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends well, and goes when it does not."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
