"""The kept logits of a run that a report names, and the truth that they were scored against."""

import shlex
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from src.core.errors import InputError, printable
from src.core.files.alone import only_reading
from src.crf.model import Image
from src.data.datamodule import SegmentationDataModule
from src.evaluation import build
from src.evaluation.machine.hardware import Hardware
from src.evaluation.scoring.logits import read_logits
from src.reporting.collect import Cell
from src.reporting.counts import Counts
from src.runs.checks.commands import check_data_set
from src.runs.checks.records import read_config
from src.runs.checks.stored import naming
from src.runs.folder import RunFolder
from src.scoring.confusion import confusion_matrix
from src.scoring.metrics import Matrix, margins

_ALONE = Hardware("cpu", "32-true", channels_last=False, devices=1, nodes=1, workers=0, cores=1, cache=0)
_NEAR = 0.02  # of the pixels: kept logits are rounded to float16


@dataclass(frozen=True)
class Kept:
    """One run's logits, image by image.

    Attributes:
        folder: with `ID.npz` of each image.
        data: gives the images and the truth.
        counts: of the run.
    """

    folder: Path
    data: SegmentationDataModule
    counts: Counts

    def logits(self, image_id: str) -> Tensor:
        """(C, h, w) float32, at the network's own resolution."""
        path = self.folder / f"{image_id}.npz"
        return read_logits(path, self.counts.classes.names, self.data.origin(image_id))

    def pair(self, image_id: str) -> tuple[Image, Tensor]:
        """Image (H, W, 3) uint8 and truth (H, W) int64, as they are scored."""
        sample = self.data.samples([image_id])[0]
        return sample["rgb"].numpy(), sample["mask"].long()


class Check:
    """Whether logits give about the labels of their run: the folder may hold others by now, or the truth may differ."""

    def __init__(self, kept: Kept) -> None:
        self.kept = kept
        self.found: dict[str, Matrix] = {}

    def add(self, image_id: str, logits: Tensor, target: Tensor) -> None:
        """Take in one image: logits or probabilities (C, H, W), and truth (H, W)."""
        counted = confusion_matrix(logits.argmax(0), target, len(logits))
        self.found[image_id] = margins(counted.numpy())

    def finish(self) -> None:
        """Raise InputError if they give others."""
        found = np.stack([self.found[image] for image in self.kept.counts.ids])
        wanted = self.kept.counts.margins["none"]
        if not np.array_equal(found[:, 1], wanted[:, 1]):
            raise InputError(f"{self.kept.data.root}: the masks are not those that the run was scored against.")
        moved = np.abs(found[:, 2] - wanted[:, 2]).sum() / 2 / wanted[:, 1].sum()
        if moved > _NEAR:
            raise InputError(
                f"{self.kept.folder}: at least {100 * moved:.0f} % of the pixels have another class than when the run "
                "was scored, so the logits are not its own."
            )


def opened(cell: Cell, counts: Counts) -> Kept:
    """The kept logits of a run.

    Raises:
        InputError: there are none, or the data is not there; the message says what to do.
    """
    if cell.scored is None:
        raise InputError("files of counts have no logits.")
    if "none" not in counts.margins:
        raise InputError(f"{cell.scored.path} was not scored with variant 'none', the network alone.")
    config = read_config(cell.scored.config)
    if config.get("map_classes") is not None:
        raise InputError(f"{cell.scored.path} was scored with map_classes=, and its logits are of other classes.")
    folder = _logits_of(cell.scored, config.get("logits"), counts)
    with naming(cell.scored.config):
        check_data_set(config)
        data = build.datamodule(config, _ALONE)
        data.prepare = only_reading(data.prepare)
        data.prepare_data()
    return Kept(folder, data, counts)


def _logits_of(scored: RunFolder, source: str | None, counts: Counts) -> Path:
    """The folder with the logits of all images: of the run, where `keep_logits=` put them, or what was scored."""
    inside = scored.path.resolve()
    run = RunFolder(inside.parent.parent if inside.parent.name == "evaluations" else scored.path)
    for folder in (run.logits, *(Path(path) for path in (counts.results.get("logits"), source) if path)):
        if all((folder / f"{image}.npz").is_file() for image in counts.ids):
            return folder
    path = printable(run.path)
    if not run.best.exists():
        raise InputError(f"the logits of {path} are not kept, and best.ckpt, which would give them, is not there.")
    command = f"python -m src.evaluate {shlex.quote(f'run={path}')} {shlex.quote(f'keep_logits={path}/logits')}"
    raise InputError(f"the logits of {path} are not kept; {command} keeps them.")
