"""The folder of predictions: labels, overlays, probabilities, a table of them, and what a later call goes on from."""

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from src.core.compose import read_mapping
from src.core.errors import InputError
from src.core.files.whole import remove_leftovers, replacing
from src.data.files.photos import stamp
from src.evaluation.prediction.question import Question

COLUMNS = ("image", "file", "width", "height", "class", "pixels", "share", "mean_probability", "seconds")
_LOG = "done*.jsonl"


@dataclass(frozen=True)
class Entry:
    """An image that is done.

    Attributes:
        name: of its files.
        file: the image's path.
        stamp: of the image's file, see `stamp`.
        size: width and height in px.
        seconds: from the image's pixels to its labels.
        classes: name of each class that occurs: its pixels, and the mean probability that they were given.
        notes: what was done to it, in words.
        frames: how many, if it is a video; pixels are those of all of them.
    """

    name: str
    file: str
    stamp: list[int]
    size: list[int]
    seconds: float
    classes: Mapping[str, tuple[int, float]]
    notes: list[str]
    frames: int = 1

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """Those of the table, a row per class, the largest first."""
        total = self.size[0] * self.size[1] * self.frames
        for name, (pixels, mean) in sorted(self.classes.items(), key=lambda item: -item[1][0]):
            share = round(pixels / total, 6)
            yield (self.name, self.file, *self.size, name, pixels, share, round(mean, 4), round(self.seconds, 3))


class PredictionFolder:
    """The files of a folder of predictions, in which several processes may work on one call.

    Args:
        path: of the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def labels(self, name: str) -> Path:
        """Palette PNG of an image's labels."""
        return self.path / "labels" / f"{name}.png"

    def overlay(self, name: str) -> Path:
        """The image under its labels."""
        return self.path / "overlays" / f"{name}.webp"

    def video(self, name: str) -> Path:
        """Overlays of a video's frames."""
        return self.path / "overlays" / f"{name}.mp4"

    def probabilities(self, name: str) -> Path:
        """(C, H, W) float16."""
        return self.path / "probabilities" / f"{name}.npy"

    @property
    def table(self) -> Path:
        """A row per image and class."""
        return self.path / "predictions.csv"

    @property
    def asked(self) -> Path:
        """What the predictions answer."""
        return self.path / "question.yaml"

    def begin(self, question: Question, *, first: bool) -> None:
        """Check that the folder holds answers to this question alone; the first process writes the question down.

        Raises:
            InputError: the folder holds predictions of another network or variant.
        """
        if not self.asked.exists():
            if first:
                with replacing(self.asked) as temporary:
                    content = {"run": question.source, **question.asked}
                    temporary.write_text(OmegaConf.to_yaml(OmegaConf.create(content)), encoding="utf-8")
            return
        before = read_mapping(self.asked, "output")
        now = json.loads(json.dumps(question.asked))
        if differ := [key for key, value in now.items() if before.get(key) != value]:
            raise InputError(
                f"output={self.path}: holds predictions of another {' and another '.join(differ)}; results are not "
                "mixed: choose another folder, or delete this one."
            )
        if first:
            for folder in (self.path, *(path for path in self.path.rglob("*") if path.is_dir())):
                remove_leftovers(folder)

    def done(self) -> dict[str, Entry]:
        """The images that are done, by name; a line that was cut off counts as missing."""
        found = {}
        for log in sorted(self.path.glob(_LOG)):
            for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
                try:
                    entry = Entry(**json.loads(line))
                    found[entry.name] = entry
                except (ValueError, TypeError):
                    continue
        return found

    def is_current(self, entry: Entry, path: Path, files: list[Path]) -> bool:
        """Whether an image is as it was when it was done, and its files are there.

        Raises:
            InputError: the entry is of another image of this name.
        """
        if entry.file != str(path):
            raise InputError(
                f"output={self.path}: '{entry.name}' there is of {entry.file}, and {path} would replace it; choose "
                "another folder."
            )
        return entry.stamp == stamp(path) and all(file.is_file() for file in files)

    def note(self, entry: Entry, rank: int) -> None:
        """Write down that an image is done, after its files are there."""
        with (self.path / f"done-{rank}.jsonl").open("a", encoding="utf-8") as file:
            file.write("\n" + json.dumps(asdict(entry)))  # so a line that was cut off ends before

    def write_table(self, names: list[str]) -> int:
        """Write the table of the images that are done, in the order of the names; returns how many there are.

        Images of earlier calls that are not among the names follow.
        """
        entries = self.done()
        order = [name for name in dict.fromkeys([*names, *sorted(entries)]) if name in entries]
        with replacing(self.table) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            for name in order:
                writer.writerows(entries[name].rows())
        return len(order)
