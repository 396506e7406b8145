"""The runs of a table, finished or not, read from their folders and labelled by what differs."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from omegaconf import DictConfig

from src.core.compose import read_config
from src.core.errors import InputError
from src.runs.config_hash import circumstances_left_out
from src.runs.folder import RunFolder
from src.runs.jobs import Job

Plain = Mapping[str, Any]


@dataclass(frozen=True)
class Cell:
    """One run. It gives one seed to one row or to several.

    Attributes:
        options: the words that make the run with `src.train`; empty if the user named its folder.
        content: what was asked, as dotted key -> value; empty if the options make no config.
        run: the run folder, with its curves.
        scored: the folder with its scores: the run folder itself, or one inside it.
        standing: "done" if there are scores.
        reason: why there are no scores.
    """

    options: tuple[str, ...]
    label: str
    content: Plain
    run: RunFolder | None
    scored: RunFolder | None
    standing: str
    reason: str

    @property
    def seed(self) -> int:
        """Seed of the training; 0 if nothing was drawn at random."""
        return int(self.content.get("seed", 0))

    @property
    def is_done(self) -> bool:
        """Whether there are scores."""
        return self.standing == "done"


def of_jobs(jobs: Iterable[Job]) -> list[Cell]:
    """One cell per job of a sweep, whatever its state."""
    found = []
    for job in jobs:
        standing, reason = job.standing()
        content = flat(job.config) if job.config is not None else {}
        found.append(Cell(job.options, job.label, content, job.folder, job.scored, standing, reason))
    return found


def of_folders(paths: Iterable[Path]) -> list[Cell]:
    """One cell per run folder; a folder of run folders gives one cell for each of them.

    Raises:
        InputError: a path is not a folder, or there is no run in it.
    """
    found = []
    for path in paths:
        if not path.is_dir():
            raise InputError(f"runs={path}: there is no such folder.")
        inside = sorted(file.parent for file in path.glob("*/config.yaml"))
        folders = [path] if (path / "config.yaml").is_file() else inside
        if not folders:
            raise InputError(f"runs={path}: holds no run (a folder with config.yaml); neither do the folders in it.")
        found += [_of_folder(RunFolder(folder)) for folder in folders]
    return found


def _of_folder(folder: RunFolder) -> Cell:
    config = read_config(folder.config)
    reason = folder.failure.read_text(encoding="utf-8").strip() if folder.failure.exists() else ""
    standing = "done" if folder.results.exists() else "failed" if reason else "unfinished"
    return Cell((), folder.path.name, flat(config), folder, folder, standing, reason)


def flat(config: DictConfig) -> dict[str, Any]:
    """What a config asks for, as dotted key -> value, without the keys that do not change a result."""
    found: dict[str, Any] = {}

    def walk(node: Any, prefix: str) -> None:
        if isinstance(node, dict) and node:
            for key, value in node.items():
                walk(value, f"{prefix}.{key}" if prefix else str(key))
        else:
            found[prefix] = node

    walk(circumstances_left_out(config), "")
    return found


def differing(cells: Sequence[Cell]) -> list[str]:
    """The keys in which cells differ, except the seed, and the variants, which have rows of their own."""
    contents = [cell.content for cell in cells if cell.content]
    keys = dict.fromkeys(key for content in contents for key in content)
    return [
        key
        for key in keys
        if key != "seed"
        and not key.startswith("variants.")
        and len({repr(content.get(key)) for content in contents}) > 1
    ]


def labels(cells: Sequence[Cell]) -> list[str]:
    """A short label of what distinguishes each cell; cells that differ only in the seed have equal labels.

    If the names of a group differ, the label holds the name. It holds other keys of the group only if they differ
    between cells with the same name.
    """
    keys = differing(cells)
    named = [key.removesuffix(".name") for key in keys if key.count(".") == 1 and key.endswith(".name")]
    telling = [key for key in keys if not any(key.startswith(f"{group}.") for group in named)]
    for group in named:
        telling.append(f"{group}.name")
        for key in keys:
            by_name: dict[Any, set[str]] = {}
            for cell in cells:
                if cell.content:
                    by_name.setdefault(cell.content.get(f"{group}.name"), set()).add(repr(cell.content.get(key)))
            if key.startswith(f"{group}.") and max(map(len, by_name.values())) > 1:
                telling.append(key)
    telling = [key for key in keys if key in telling]

    def word(cell: Cell, key: str) -> str:
        value = cell.content.get(key)
        return str(value) if key.endswith(".name") else f"{key.rpartition('.')[2]} {value}"

    return [
        " / ".join(word(cell, key) for key in telling)
        if cell.content
        else " ".join(option for option in cell.label.split() if not option.startswith("seed="))
        for cell in cells
    ]


@dataclass(frozen=True)
class Counts:
    """The counts from which a cell's scores are computed.

    Attributes:
        ids: of the N images.
        matrices: variant to (N, C, C), rows the truth.
        trimaps: variant to (N, len(RADII), 2, C); empty if they were not counted.
    """

    ids: list[str]
    matrices: dict[str, npt.NDArray[np.int64]]
    trimaps: dict[str, npt.NDArray[np.int32]]


def read_counts(folder: RunFolder) -> Counts:
    """The counts per image in a folder with results.

    Raises:
        InputError: they are missing or damaged.
    """
    try:
        with np.load(folder.confusion, allow_pickle=False) as file:
            matrices = {key: file[key] for key in file.files}
        trimaps = {}
        if folder.trimaps.exists():
            with np.load(folder.trimaps, allow_pickle=False) as file:
                trimaps = {key: file[key] for key in file.files if key != "ids"}
        found = Counts([str(image) for image in matrices.pop("ids")], matrices, trimaps)
    except Exception as error:  # on damaged bytes, zip and NumPy may raise anything
        raise InputError(f"{folder.path}: its counts per image cannot be read ({error}); score it again.") from error
    if strange := [name for name in found.matrices if not re.fullmatch(r"\w+", name)]:  # they become names of files
        raise InputError(f"{folder.confusion}: {strange[0]!r} is not the name of a variant; score the run again.")
    return found
