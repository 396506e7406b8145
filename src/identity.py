"""What a config asks for, as a hash and a folder's name, and what stands in that folder. Imports no torch."""

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from omegaconf import DictConfig, OmegaConf

from src.crf.presets import tuned_on
from src.errors import InputError
from src.runs import RunFolder

# What does not change a result: where things lie and go, how they are shown, on what they run.
_NOT_IDENTITY = ("name", "runs", "resume", "overwrite", "logger", "panels", "table", "jobs", "keep_logits", "output")
_TRAINER_IDENTITY = ("precision", "max_time")


def identity(config: DictConfig) -> str:
    """Eight hex digits of the SHA-256 of the resolved config; equal for runs that ask the same of the same data."""
    return _hash(circumstances_left_out(config))


def training_identity(config: DictConfig) -> str:
    """The same of what a network is trained with: without the CRF and the variants it is scored with afterwards."""
    asked = {key: value for key, value in circumstances_left_out(config).items() if key not in ("crf", "variants")}
    left_out = {name: sorted(ids) for name, ids in tuned_on(config).items()}  # of the images that choose the best epoch
    return _hash({**asked, "left_out": left_out} if left_out else asked)


def circumstances_left_out(config: DictConfig) -> dict[str, Any]:
    """The resolved config without what does not change a result."""
    content = OmegaConf.to_container(config, resolve=True)
    assert isinstance(content, dict)
    kept = {str(key): value for key, value in content.items() if key not in _NOT_IDENTITY}
    kept["trainer"] = {key: content["trainer"].get(key) for key in _TRAINER_IDENTITY}
    kept["data"] = {key: value for key, value in content["data"].items() if key != "root"}
    kept["data"]["prepare"] = {k: v for k, v in content["data"].get("prepare", {}).items() if k != "download"}
    return kept


def _hash(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]


def run_folder(config: DictConfig) -> RunFolder:
    """The folder of this config's training: `name`, or one made of the choices, the seed and the identity."""
    choices = [config[group].name for group in ("data", "backbone", "head", "loss", "recipe")]
    made = "-".join([*choices, f"seed{config.seed}", training_identity(config)])
    name = made if config.name is None else str(config.name)
    return RunFolder(Path(str(config.runs)) / name)


def scored_folder(config: DictConfig, folder: RunFolder) -> RunFolder:
    """Where the variants of this config are scored: in the run folder, or inside it if others were scored there."""
    stored = _stored(folder)
    if stored is None or not folder.results.exists() or identity(stored) == identity(config):
        return folder
    return RunFolder(folder.path / "evaluations" / evaluation_name(config))


def evaluation_name(config: DictConfig) -> str:
    """Of a folder of scores: the data, the CRF, and a hash of all that was asked."""
    return f"{config.data.name}-{config.crf.name}-{identity(config)}"


State = Literal["new", "unfinished", "trained", "done"]


def state(config: DictConfig, folder: RunFolder) -> State:
    """What stands in the folder of this config; `trained` is a finished run whose variants were others.

    Raises:
        InputError: it holds a run, finished or not, of another config.
    """
    stored = _stored(folder)
    if config.get("overwrite") or stored is None:
        return "new"
    if training_identity(stored) != training_identity(config):
        raise InputError(
            f"{folder.path} holds a run of another config (see its config.yaml): choose another name=, or "
            "overwrite=true deletes that run."
        )
    if stored.data.root != config.data.root:
        raise InputError(
            f"{folder.path} holds a run on data.root={stored.data.root}: choose a name= for the one on "
            f"{config.data.root}, or overwrite=true deletes that run."
        )
    if not folder.results.exists():
        return "unfinished" if folder.last.exists() else "new"
    return "done" if scored_folder(config, folder).results.exists() else "trained"


def resume_path(config: DictConfig, folder: RunFolder) -> Path | None:
    """The checkpoint to go on from; None starts anew.

    Raises:
        InputError: the checkpoint that was asked for does not exist.
    """
    if config.resume is None or config.overwrite:
        return None
    if config.resume == "auto":
        return folder.last if folder.last.is_file() else None
    path = folder.last if config.resume == "last" else Path(config.resume)
    if not path.is_file():
        where = "no epoch was completed in this run folder" if config.resume == "last" else "no such file"
        raise InputError(f"resume={config.resume}: {path} does not exist ({where}); leave resume out to start anew.")
    is_own = path.parent.resolve() == folder.path.resolve()
    return path if is_own or not folder.last.is_file() else folder.last  # which has gone on from there already


def _stored(folder: RunFolder) -> DictConfig | None:
    if not folder.config.exists():
        return None
    stored = OmegaConf.load(folder.config)
    assert isinstance(stored, DictConfig)
    return stored
