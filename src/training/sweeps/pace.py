"""What a run has taken in time, memory and disk, per step and per image, read from its folder. No torch."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from statistics import median

from src.core.errors import InputError
from src.core.files.reading import read_text
from src.runs.folder import RunFolder


@dataclass(frozen=True)
class Pace:
    """How fast and how large trainings of one kind are.

    Attributes:
        start: seconds of a run beside its epochs and its scoring.
        step: seconds of a training step, with the waiting for data.
        saving: seconds that a checkpoint takes; there is one for each epoch, and at most one for each validation.
        validation: seconds of a validation, per image.
        scoring: seconds of the scoring with all variants, per image.
        memory: bytes of a training process at most, see `src.core.memory.largest_memory`.
        kept: bytes of the checkpoints.
        counted: bytes of counts and kept logits, per image.
        picture: bytes of a drawn image.
        other: bytes of all other files.
    """

    start: float
    step: float
    saving: float
    validation: float
    scoring: float
    memory: float
    kept: float
    counted: float
    picture: float
    other: float

    def seconds(self, *, epochs: int, steps: int, validations: int, images: int) -> float:
        """Of a run with so many epochs of so many steps, validations, and val images."""
        saved = (epochs + validations) * self.saving
        training = epochs * steps * self.step + validations * images * self.validation + saved
        return self.start + training + images * self.scoring

    def disk(self, *, images: int, pictures: int) -> float:
        """Bytes of a run folder."""
        return self.kept + images * self.counted + pictures * self.picture + self.other


def validations(epochs: int, every: int) -> int:
    """How many of the epochs are validated: each so-manieth, and the last."""
    return -(-epochs // every)


def read_pace(folder: RunFolder, *, seconds: float | None = None) -> Pace | None:
    """The pace of a finished run; None if it does not tell its times, or was not trained in one go.

    The first epoch is left out where there are others: in it images are read and memory is taken for the first time.

    Args:
        folder: with the results of a training.
        seconds: of the whole command; None: those that the run has counted itself, from its first line on.

    Raises:
        InputError: a file of the run is damaged.
    """
    results = folder.read_results()
    training, costs = results.get("training", {}), results.get("costs", {})
    whole = seconds if seconds is not None else results.get("seconds")
    if not isinstance(whole, int | float) or "fitting" not in training or "scoring" not in costs:
        return None
    epochs = _epochs(folder.metrics)
    if not epochs or training["fitting"] < training["seconds"]:  # resumed
        return None
    later = epochs[1:] or epochs
    validated = [one for one in later if one[2] > 0] or [one for one in epochs if one[2] > 0]
    images = int(results["images"])
    first = costs.get("first", 0.0) if images > 1 else 0.0  # what is done once is in it, and counts as the start
    scoring = max(0.0, costs["scoring"] - first) / (images - (first > 0))
    pictures = _sizes(folder.panels.glob("*.png"))
    kept, counted = _sizes([folder.best, folder.last]), _sizes(folder.counts)
    counted += _sizes(folder.logits.glob("*"))
    everything = _sizes(path for path in folder.path.rglob("*") if "evaluations" not in path.parts)
    return Pace(
        start=max(0.0, whole - training["fitting"] - images * scoring),
        step=median(one[1] / one[0] for one in later),
        saving=(training["fitting"] - training["seconds"]) / sum(2 if one[2] > 0 else 1 for one in epochs),
        validation=median(one[2] for one in validated) / images if validated else 0.0,
        scoring=scoring,
        memory=float(training.get("memory", 0)),
        kept=sum(kept),
        counted=sum(counted) / images,
        picture=sum(pictures) / max(1, len(pictures)),
        other=sum(everything) - sum(kept) - sum(counted) - sum(pictures),
    )


def middle(paces: Sequence[Pace]) -> Pace:
    """The median of each number."""
    return Pace(*(median(getattr(one, field.name) for one in paces) for field in fields(Pace)))


def _sizes(paths: Iterable[Path]) -> list[int]:
    return [path.stat().st_size for path in paths if path.is_file()]


def _epochs(path: Path) -> list[tuple[int, float, float]]:
    """Per epoch of a `metrics.csv`: steps, their seconds with the waiting for data, and those of the validation."""
    found, before = [], -1
    try:
        for row in csv.DictReader(io.StringIO(read_text(path))):
            step = int(row["step"])
            found.append(
                (step - before, float(row["time/data"]) + float(row["time/step"]), float(row["time/validation"]))
            )
            before = step
    except FileNotFoundError:
        return []
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise InputError(f"{path}: is not the metrics of a run ({error}); leave this run out.") from error
    if any(steps < 1 for steps, _, _ in found):
        raise InputError(f"{path}: its steps do not rise from epoch to epoch; leave this run out.")
    return found
