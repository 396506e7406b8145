"""The question of a report: about the runs of a table, of any sweep, in given folders, or about files of counts."""

import os
import re
import shlex
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from src.core.command.mistakes import sentence
from src.core.compose import TABLES, plain, read_mapping
from src.core.errors import InputError, printable
from src.core.values import check_config, check_folder_name, check_text, either, many, parts
from src.reporting.collect import Cell, of_counts, of_folders, of_jobs
from src.reporting.comparison import Comparison, compare
from src.runs.jobs import Job, expand

QUESTION = "table.yaml"  # in a folder of copied runs
_COPIED = parts(
    {
        "name": check_folder_name,
        "question": check_text,
        "baseline": either((None,), check_text),
        "runs": many(check_folder_name),
    },
    {"names": either((None,), many(check_text))},
)


@dataclass(frozen=True)
class Question:
    """A requested comparison.

    Attributes:
        name: for files and titles.
        text: the question in words.
        baseline: the row that others are compared with; None: the first.
        cells: the runs.
        commands: those that make the runs.
        names: of the trainings, in the order of the rows; None: what their configs differ in.
    """

    name: str
    text: str
    baseline: str | None
    cells: list[Cell]
    commands: list[str]
    names: list[str] | None = None

    def compare(self, resamples: int, **options: Any) -> Comparison:
        """The table that answers it; `options` as for `compare`."""
        return compare(
            self.cells,
            name=self.name,
            question=self.text,
            baseline=self.baseline,
            resamples=resamples,
            names=self.names,
            **options,
        )


def asked(config: DictConfig) -> Question:
    """The question of a config composed from `conf/report.yaml`.

    Raises:
        InputError: nothing is asked, the options make no sweep, or the folders hold no runs.
    """
    words = [str(word) for word in config.options]
    if len(words) == 1 and words[0].startswith("runs="):
        return of_runs(folders_in(words[0].removeprefix("runs=")), config)
    if any(word.startswith("counts=") for word in words):
        if len(words) > 1:
            raise InputError("counts=: stands alone; leave out runs= and the options of a sweep.")
        return of_files(folders_in(words[0].removeprefix("counts="), key="counts", what="file"), config)
    if sum(word.startswith("runs=") for word in words) > 1:
        raise InputError("runs= is given twice; for several folders give runs=FOLDER,FOLDER.")
    found = of_sweep(
        of_jobs(swept(config, words)), words, title=config.title, text=config.question, baseline=config.baseline
    )
    return replace(found, names=_names(config))


def swept(config: DictConfig, words: Sequence[str]) -> list[Job]:
    """The jobs that words of `src.train` make.

    Raises:
        InputError: they make no config; `config` is that of the command that took them, whose keys are told, too.
    """
    try:
        return expand(words)
    except HydraException as error:
        own = [str(key) for key in config if key != "options"]
        raise InputError(sentence(error, "train", [*words], besides=own)) from error


def folders_in(text: str, *, key: str = "runs", what: str = "folder") -> list[Path]:
    """The folders of `runs=FOLDER,FOLDER`: the whole text if there is such a folder, else what is between the commas.

    An item in quotes may have commas: `'A,B',C`. `key` and `what` are for messages.

    Raises:
        InputError: no folder is named.
    """
    with suppress(OSError):  # a long list is no name
        if text and Path(text).is_dir():
            return [Path(text)]
    listed = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    items = re.findall(r"""\s*('[^']*'|"[^"]*"|[^,]*)\s*(?:,|$)""", listed)
    found = [item[1:-1] if item[:1] in ("'", '"') and item[-1:] == item[:1] else item.strip() for item in items]
    if not any(found):
        name = what.upper()
        raise InputError(f"{key}={text}: names no {what}; give {key}={name} or {key}={name},{name}.")
    return [Path(item) for item in found if item]


def of_sweep(
    cells: list[Cell],
    words: list[str],
    *,
    title: str | None = None,
    text: str | None = None,
    baseline: str | None = None,
) -> Question:
    """The question about the cells of a sweep, which `words` make; title and text are the table's own unless given."""
    content = next((cell.content for cell in cells if cell.content), {})
    chosen = dict(word.partition("=")[::2] for word in words).get("table")
    table = read_table(chosen) if chosen and chosen != "null" else {}
    name = title or _as_name(f"{table.get('name', 'sweep')}-{content.get('data.name', 'data')}")
    swept = dict.fromkeys(word.partition("=")[0] for cell in cells for word in cell.label.split())
    keys = ", ".join(key for key in swept if key != "seed") or "seeds"
    text = text or table.get("question") or f"What do {keys} change?"
    multirun = "" if chosen else "-m "
    command = f"python -m src.train {multirun}{shlex.join(words)}"
    return Question(name, printable(text), baseline or table.get("baseline"), cells, [command])


def read_table(name: str) -> dict[str, str]:
    """The entry `table` of `experiments/table/NAME.yaml`."""
    content = OmegaConf.to_container(OmegaConf.load(TABLES / f"{name}.yaml"))
    assert isinstance(content, dict)
    return dict(content["table"])


def of_runs(paths: list[Path], config: DictConfig) -> Question:
    """The question about the runs in some folders; for a folder that `records=` has made, the one that made it."""
    before = _copied(paths[0]) if len(paths) == 1 else {}
    cells = of_folders([paths[0] / name for name in before.get("runs", [])] or paths)
    name = config.title or before.get("name") or _as_name("-".join(path.resolve().name for path in paths))
    text = config.question or before.get("question") or f"Comparison of {len(cells)} run{'s' if len(cells) > 1 else ''}"
    names = before.get("names") if config.names is None else _names(config)
    return Question(name, printable(text), config.baseline or before.get("baseline"), cells, [], names)


def _names(config: DictConfig) -> list[str] | None:
    return None if config.names is None else [printable(name) for name in config.names]


def of_files(paths: list[Path], config: DictConfig) -> Question:
    """The question about files of confusion matrices, of networks that this project need not know.

    Raises:
        InputError: a file cannot be used, or the report is asked for what only run folders have.
    """
    for key in ("images", "records"):
        if config[key] is not None:
            raise InputError(
                f"{key}={config[key]}: files of counts have no images; leave this word out, or give runs=."
            )
    cells = of_counts(paths)
    name = config.title or _as_name("-".join(path.stem for path in paths))
    text = config.question or f"Comparison of {len(paths)} file{'s' if len(paths) > 1 else ''} of counts"
    return Question(name, printable(text), config.baseline, cells, [], _names(config))


def _copied(folder: Path) -> dict[str, Any]:
    """The question and the order of the runs in a folder that `records=` has made; empty for another folder."""
    path = folder / QUESTION
    if not os.path.exists(path):  # noqa: PTH110  # unlike Path.exists, it is quiet about names that are too long
        return {}
    found = plain(read_mapping(path, str(path)), path)
    try:
        check_config(found, _COPIED)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    content = OmegaConf.to_container(found)
    assert isinstance(content, dict)
    return {str(key): value for key, value in content.items()}


def _as_name(text: str) -> str:
    """A name for a folder below `reports`, made of the text."""
    return re.sub(r"[^\w.+-]+", "-", text)[:60].strip(".+-") or "report"
