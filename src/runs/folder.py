"""Run folders: their name, their files, and how these are written. Imports no torch.

A folder holds `config.yaml`, `batch.webp`, `metrics.csv`, `curves.svg`, `best.ckpt`, `last.ckpt`, `training.json`,
`confusion.npz`, `trimap.npz`, `boundary.npz`, `panels/` and `results.json`. `results.json` is written last and at once:
if it exists, the run is finished.
"""

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from filelock import FileLock, Timeout
from omegaconf import DictConfig, OmegaConf

from src.core.errors import InputError, Interrupted
from src.core.files.whole import Rows, remove_leftovers, replacing, write_arrays, write_json
from src.data.files.lists import write_ids
from src.runs.checks import records

Counts = Iterable[tuple[str, npt.NDArray[Any] | Rows]]
_MOMENT = 5.0  # seconds; `is_held` of another process holds the lock for much less


@dataclass(frozen=True)
class RunFolder:
    """The files of a run: their paths, and reading and writing of those that Lightning does not write."""

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
    def curves(self) -> Path:
        """Loss, mIoU and learning rate over epochs, as a picture."""
        return self.path / "curves.svg"

    @property
    def batch(self) -> Path:
        """The first crops of the training with their masks, as a picture."""
        return self.path / "batch.webp"

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
        """`ids` (N,), and per variant (N, C, C) int64."""
        return self.path / "confusion.npz"

    @property
    def trimaps(self) -> Path:
        """Per variant (N, len(RADII), 2, C) int32 hits and unions near boundaries; same images as in `confusion`."""
        return self.path / "trimap.npz"

    @property
    def boundaries(self) -> Path:
        """Per variant (N, 2, C) int32 hits and unions of Boundary IoU; same images as in `confusion`."""
        return self.path / "boundary.npz"

    @property
    def counts(self) -> tuple[Path, ...]:
        """The counts per image from which scores are computed."""
        return self.confusion, self.trimaps, self.boundaries

    @property
    def splits(self) -> Path:
        """The ids that were trained on and scored, a list per split."""
        return self.path / "splits"

    @property
    def panels(self) -> Path:
        """Pictures."""
        return self.path / "panels"

    @property
    def results(self) -> Path:
        """Scores and provenance; exists only if the run is finished."""
        return self.path / "results.json"

    @property
    def ending(self) -> Path:
        """How the training ended: the best epoch, the steps made, what stopped it; exists only after the end."""
        return self.path / "training.json"

    @property
    def failure(self) -> Path:
        """Why the last attempt failed; missing if there was no attempt or it succeeded."""
        return self.path / "failed.txt"

    @property
    def log(self) -> Path:
        """The output of the run, if a sweep started it."""
        return self.path / "log.txt"

    @property
    def logits(self) -> Path:
        """The network's logits for the validation images, if they are kept."""
        return self.path / "logits"

    @property
    def made_of_network(self) -> tuple[Path, ...]:
        """Folders of later commands: further scores, ONNX files, a folder to share."""
        return tuple(self.path / name for name in ("evaluations", "export", "shared"))

    @property
    def dashboard_id(self) -> Path:
        """The id of the run on W&B; a resumed run keeps it."""
        return self.path / "wandb.id"

    def read_results(self, *, trained: bool = False) -> dict[str, Any]:
        """The checked content of `results.json`; with `trained`, that of a training, which has `monitor`."""
        content = records.read_results(self.results, trained=trained)
        if content is None:
            raise InputError(f"{self.results} is missing: the run is not finished; to continue it, use resume=last.")
        return content

    def read_ending(self) -> dict[str, Any] | None:
        """The checked content of `training.json`, or None while the training has not ended."""
        return records.read_ending(self.ending)

    def write_ending(self, content: Mapping[str, Any]) -> None:
        """Write `training.json`; scores and logits that were made meanwhile, of a network that was unfinished, go."""
        for folder in (self.logits, *self.made_of_network):
            shutil.rmtree(folder, ignore_errors=True)
        write_json(self.ending, content)

    def write_results(self, results: Mapping[str, Any], ids: list[str], *counts: Counts) -> None:
        """Write the `counts` of each variant, then `results.json`; each file appears complete."""
        for path, found in zip(self.counts, counts, strict=True):
            write_arrays(path, chain([("ids", np.array(ids))], found))
        write_json(self.results, results)

    def write_config(self, config: DictConfig) -> None:
        """Write the resolved config."""
        with replacing(self.config) as temporary:
            temporary.write_text(OmegaConf.to_yaml(config, resolve=True), encoding="utf-8")

    def begin(self, config: DictConfig, splits: Mapping[str, list[str]]) -> None:
        """Write the config of a training, and a list of ids per split.

        If the training does not go on from an earlier one in the folder, this one is deleted first.
        """
        if config.overwrite or config.resume is None:
            self.clear()
        self.write_config(config)
        self.splits.mkdir(exist_ok=True)
        for name, ids in splits.items():
            write_ids(self.splits / f"{name}.txt", ids)

    def create(self) -> None:
        """Make the folder and check that it can be written to."""
        written = (self.path / name for name in (".lock", ".writable", "evaluations"))
        for inside in (*written, self.panels, self.logits, self.splits):
            if inside.is_symlink():
                raise InputError(
                    f"{inside}: is a link, but only files of the run folder itself are written to; remove it."
                )
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            probe = self.path / ".writable"
            probe.touch()
            probe.unlink(missing_ok=True)  # another process may have been here
        except OSError as error:
            raise InputError(
                f"{self.path}: cannot write the run folder ({error.strerror}); choose another with runs=FOLDER."
            ) from error

    @contextmanager
    def attempt(self, *, first: bool) -> Iterator[None]:
        """Lock the folder, and make it if needed; an error that ends the block is saved in `failed.txt`.

        Args:
            first: whether this is the first of the processes that work together; only it locks the folder. After one
                process has failed, errors in the others are consequences: the first process reports the cause, the
                others print nothing.

        Raises:
            InputError: the folder cannot be written to, or another process works in it.
        """
        self.create()
        if not first:
            # Status 0, not 1: a launcher ends the first process if others have failed.
            with self._telling(others=lambda _: SystemExit(0)):
                yield
            return
        try:
            with FileLock(self.path / ".lock", timeout=_MOMENT):
                self.failure.unlink(missing_ok=True)
                for folder in (self.path, self.panels, self.panels / "extremes", self.logits):
                    remove_leftovers(folder)
                with self._telling(others=InputError):
                    yield
        except Timeout:
            raise InputError(f"{self.path}: another process is at work in this run folder.") from None

    @contextmanager
    def _telling(self, *, others: Callable[[str], BaseException]) -> Iterator[None]:
        """Save an error in `failed.txt`; if another process has saved one there, raise `others` of its text."""
        try:
            yield
        except (Exception, Interrupted) as error:
            if self.failure.exists():
                raise others(self.failure.read_text(encoding="utf-8").strip()) from error
            kind = "" if isinstance(error, InputError | Interrupted) else f"{type(error).__name__}: "
            self.fail(f"{kind}{error}")
            raise

    def fail(self, reason: str) -> None:
        """Save why the run failed, if possible; an error while saving must not hide the reason."""
        with suppress(OSError, InputError), replacing(self.failure) as temporary:
            temporary.write_text(reason.strip() + "\n", encoding="utf-8")

    def is_held(self) -> bool:
        """Whether a process is working in the folder."""
        if not self.path.is_dir():
            return False
        try:
            with FileLock(self.path / ".lock", blocking=False):
                return False
        except Timeout:
            return True

    def clear(self) -> None:
        """Delete the files of an earlier run, `results.json` first."""
        made = (self.results, *self.counts, self.batch, self.curves, self.failure, self.ending, self.best, self.last)
        for file in (*made, self.metrics, self.dashboard_id, self.config):
            file.unlink(missing_ok=True)
        for folder in (self.panels, self.logits, self.splits, *self.made_of_network):
            shutil.rmtree(folder, ignore_errors=True)
