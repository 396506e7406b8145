"""The run folder of a config, and the state of the run in it. Imports no torch."""

from pathlib import Path
from typing import Literal

from omegaconf import DictConfig

from src.core.compose import read_config
from src.core.errors import InputError
from src.runs.config_hash import evaluation_name, identity, training_identity
from src.runs.folder import RunFolder


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
        InputError: the folder holds a run, finished or not, of another config.
    """
    stored = _stored(folder)
    if config.get("overwrite") or stored is None:
        return "new"
    if training_identity(stored) != training_identity(config):
        raise InputError(
            f"{folder.path} holds a run of another config (see its config.yaml): choose another name=, or "
            "delete that run with overwrite=true."
        )
    if stored.data.root != config.data.root:
        raise InputError(
            f"{folder.path} holds a run on data.root={stored.data.root}: for a run on {config.data.root} "
            "choose another name=, or delete that run with overwrite=true."
        )
    if not folder.results.exists():
        return "unfinished" if folder.last.exists() else "new"
    return "done" if scored_folder(config, folder).results.exists() else "trained"


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
