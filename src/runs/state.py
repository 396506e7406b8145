"""The run folder of a config, and the state of the run in it. Imports no torch."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from omegaconf import DictConfig

from src.core.errors import InputError
from src.core.files.alone import only_reading
from src.data.config import splits_of
from src.data.files.splits import Splits
from src.data.sources.table import source_of
from src.runs.checks.records import read_config
from src.runs.config_hash import evaluation_name, identity, training_identity
from src.runs.folder import RunFolder
from src.scoring.presets import tuned_on


def run_folder(config: DictConfig) -> RunFolder:
    """The folder of this config's training: `name`, or a name made of the choices, the seed and the identity."""
    choices = [config[group].name for group in ("data", "backbone", "head", "loss", "recipe")]
    made = "-".join([*choices, f"seed{config.seed}", training_identity(config)])
    name = made if config.name is None else str(config.name)
    return RunFolder(Path(str(config.runs)) / name)


def scored_folder(config: DictConfig, folder: RunFolder) -> RunFolder:
    """The folder for the scores of this config: the run folder, or one inside it if it holds other variants."""
    stored = _stored(folder)
    if stored is None or not folder.results.exists() or identity(stored) == identity(config):
        return folder
    return RunFolder(folder.path / "evaluations" / evaluation_name(config))


State = Literal["new", "unfinished", "trained", "done"]


def state(config: DictConfig, folder: RunFolder) -> State:
    """The state of this config's folder; `trained` is a finished run that was scored with other variants.

    Raises:
        InputError: the folder holds a run, finished or not, of another config; or the run goes on from another run's
            checkpoint, and has no name of its own.
    """
    _refuse_unnamed(config, folder)
    stored = _stored(folder)
    if stored is None:
        _refuse_remains(folder)
        return "new"
    if config.get("overwrite"):
        return "new"
    if training_identity(stored) != training_identity(config):
        raise InputError(
            f"{folder.path} holds a run of another config (see its config.yaml): choose another name=, or "
            "delete that run with overwrite=true."
        )
    if not folder.results.exists():
        return "unfinished" if folder.last.exists() else "new"
    _refuse_changed_data(config, folder)
    return "done" if scored_folder(config, folder).results.exists() else "trained"


def _refuse_unnamed(config: DictConfig, folder: RunFolder) -> None:
    """Raise InputError if the folder is that of a training from the start, which a table may take the run for."""
    resume = config.get("resume")
    if resume in (None, "auto", "last") or config.name is not None:
        return
    if Path(resume).is_file() and Path(resume).parent.resolve() != folder.path.resolve():
        raise InputError(
            f"resume={resume}: what goes on from another run is a run of its own; name it with name=NAME, in a sweep "
            "with something like 'name=NAME-${seed}'."
        )


def _refuse_remains(folder: RunFolder) -> None:
    """Raise InputError for a folder with files of a run, but without the config that says which run."""
    for file in (folder.results, folder.ending, folder.last, folder.metrics, folder.logits, folder.panels):
        if file.exists():
            raise InputError(
                f"{folder.path} holds {file.name}, but its config.yaml is missing, which says of which run: choose "
                "another name=, or move it away; overwrite=true deletes only runs."
            )


def _refuse_changed_data(config: DictConfig, folder: RunFolder) -> None:
    """Raise InputError if the data of a finished run is there, but no longer the same."""
    before = folder.read_results().get("fingerprint", {})
    splits = _found_splits(config.data, tuned_on(config))
    if splits is not None and (changed := [name for name in before if splits.fingerprint(name) != before[name]]):
        raise InputError(changed_data(folder.path, changed))


def _found_splits(data: DictConfig, left_out: Mapping[str, frozenset[str]]) -> Splits | None:
    """The lists of the data that a config names, if it is already there; nothing is made or downloaded."""
    try:
        path = only_reading(source_of(data))(root=Path(data.root))
    except InputError:
        return None
    return splits_of(data, path, left_out)


def changed_data(where: Path, splits: Iterable[str]) -> str:
    """The message about data that is not what a run has seen.

    Args:
        where: folder or checkpoint of the run.
        splits: those that differ.
    """
    names = " and ".join(splits)
    return (
        f"{where}: the images, masks or lists of {names} have changed since that run (data.root): choose another name= "
        "for a run on the new data, or delete the old run with overwrite=true."
    )


def starting_point(config: DictConfig, folder: RunFolder) -> tuple[Path | None, dict[str, Any] | None]:
    """Where a run starts: at a checkpoint, or after its training, and how this ended; both None: at the start.

    Raises:
        InputError: the requested checkpoint does not exist.
    """
    begins = config.overwrite or config.resume is None
    ended = folder.read_ending() if folder.best.exists() and not begins else None
    return (None, ended) if ended is not None else (resume_path(config, folder), None)


def resume_path(config: DictConfig, folder: RunFolder) -> Path | None:
    """The checkpoint to go on from; None: start from the beginning.

    Raises:
        InputError: the requested checkpoint does not exist.
    """
    if config.resume is None or config.overwrite:
        return None
    if config.resume == "auto":
        return folder.last if folder.last.is_file() else None
    path = folder.last if config.resume == "last" else Path(config.resume)
    if not path.is_file():
        where = "no epoch was completed in this run folder" if config.resume == "last" else "no such file"
        raise InputError(f"resume={config.resume}: {path} does not exist ({where}); to start again, leave resume out.")
    is_own = path.parent.resolve() == folder.path.resolve()
    return path if is_own or not folder.last.is_file() else folder.last  # which already goes on from `path`


def _stored(folder: RunFolder) -> DictConfig | None:
    return read_config(folder.config) if folder.config.exists() else None
