"""The runs of a table, finished or not, read from their folders and labelled by what differs."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from src.core.errors import InputError, printable
from src.data.classes import Classes
from src.reporting.counts import Counts
from src.reporting.statistics.matrices import read
from src.runs.checks.records import read_config, read_reason
from src.runs.config_hash import circumstances_left_out
from src.runs.folder import RunFolder
from src.runs.jobs import Job
from src.scoring.metrics import margins

Plain = Mapping[str, Any]
_LONGEST = 120  # characters of one word of a label
_SEEDS = 2**63


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
        counts: of a method that has no run folder; otherwise they are read from `scored`.
    """

    options: tuple[str, ...]
    label: str
    content: Plain
    run: RunFolder | None
    scored: RunFolder | None
    standing: str
    reason: str
    counts: Counts | None = None

    @property
    def seed(self) -> int:
        """Seed of the training; 0 if nothing was drawn at random."""
        seed = self.content.get("seed", 0)
        return seed if isinstance(seed, int) else 0

    @property
    def training(self) -> str:
        """What was trained, as text: equal for all scores of one network, whatever came after it."""
        after = ("crf.", "variants.", "run", "checkpoint", "protocol")
        asked = {key: value for key, value in self.content.items() if not key.startswith(after)}
        return repr(sorted(asked.items())) if asked else self.label

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
        label = printable(job.label)
        found.append(Cell(job.options, label, content, job.folder, job.scored, standing, printable(reason)))
    return found


def of_folders(paths: Iterable[Path]) -> list[Cell]:
    """One cell per run folder; a folder of run folders gives one cell for each of them, and each counts once.

    Raises:
        InputError: a path is not a folder, there is no run in it, or what is there cannot be read.
    """
    found: dict[Path, Cell] = {}
    for path in paths:
        try:
            for folder in _runs_in(path):
                if folder.resolve() not in found:
                    found[folder.resolve()] = _of_folder(RunFolder(folder))
        except OSError as error:
            raise InputError(f"runs={path}: cannot be read ({error.strerror}).") from error
    return list(found.values())


def of_counts(paths: Sequence[Path]) -> list[Cell]:
    """One cell per file of confusion matrices and seed in it; the row is called as the file is.

    Raises:
        InputError: a file cannot be used, or two have the same name.
    """
    found: dict[str, list[Cell]] = {}
    for path in paths:
        name = printable(path.stem)
        if name in found:
            raise InputError(
                f"counts={path}: another file is called {name}, too; rename one: rows are called as files."
            )
        matrices, ids, names = read(path)
        classes = Classes.named(names, background="background" if "background" in names else None)
        results = {"data": "counts", "protocol": "of the files", "images": len(ids)}
        found[name] = [
            Cell(
                *((), name, {"method.name": name, "seed": seed}, None, None, "done", ""),
                Counts(ids, {"none": margins(one)}, {}, results, classes),
            )
            for seed, one in enumerate(matrices)
        ]
    return [cell for cells in found.values() for cell in cells]


def _runs_in(path: Path) -> list[Path]:
    if not path.is_dir():
        comma = "; if its name has a comma, put quotes inside: \"runs='A,B',C\"" if "," in str(path) else ""
        raise InputError(f"runs={path}: there is no such folder{comma}.")
    inside = sorted(file.parent for file in path.glob("*/config.yaml"))
    folders = [path] if (path / "config.yaml").exists() else inside
    if not folders:
        raise InputError(f"runs={path}: holds no run (a folder with config.yaml); neither do the folders in it.")
    return folders


def _of_folder(folder: RunFolder) -> Cell:
    config = read_config(folder.config)
    try:
        content = flat(config)
    except (AttributeError, KeyError, TypeError, OmegaConfBaseException) as error:
        raise InputError(f"{folder.config}: is not the config of a run of this project; leave this run out.") from error
    seed = content.get("seed", 0)
    if not isinstance(seed, int) or isinstance(seed, bool) or abs(seed) >= _SEEDS:
        raise InputError(f"{folder.config}: seed={seed} is not a whole number below 2^63; leave this run out.")
    reason = read_reason(folder.failure)
    standing = "done" if folder.results.exists() else "failed" if reason else "unfinished"
    return Cell(
        (), printable(folder.path.name or folder.path.resolve().name), content, folder, folder, standing, reason
    )


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
            by_name: dict[str, set[str]] = {}
            for cell in cells:
                if cell.content:
                    by_name.setdefault(repr(cell.content.get(f"{group}.name")), set()).add(repr(cell.content.get(key)))
            if key.startswith(f"{group}.") and max(map(len, by_name.values())) > 1:
                telling.append(key)
    telling = [key for key in keys if key in telling]

    def word(cell: Cell, key: str) -> str:
        value = str(cell.content.get(key))
        return _shown(value) if key.endswith(".name") else f"{_shown(key.rpartition('.')[2])} {_shown(value)}"

    texts = [
        " / ".join(word(cell, key) for key in telling)
        if cell.content
        else _shown(" ".join(option for option in cell.label.split() if not option.startswith("seed=")))
        for cell in cells
    ]
    # Different values may read alike, such as 2 and "2".
    values = [repr([cell.content.get(key) for key in telling]) if cell.content else "" for cell in cells]
    meanings: dict[str, set[str]] = {}
    for text, value in zip(texts, values, strict=True):
        meanings.setdefault(text, set()).add(value)
    return [
        text if len(meanings[text]) == 1 else f"{text} ({_digest(value)})"
        for text, value in zip(texts, values, strict=True)
    ]


def _shown(text: str) -> str:
    """The text on one line, with a digest instead of what is too long for a label."""
    short = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 20]} ... {_digest(text)}"
    return printable(short)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()[:6]
