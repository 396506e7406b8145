"""The trained network that is exported: with the weights that were scored, and what is known of them."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from src.core.errors import InputError
from src.data.classes import Classes
from src.data.config import classes_of
from src.evaluation import build
from src.evaluation.export.shareable import described
from src.evaluation.machine.hardware import Hardware
from src.evaluation.source import Source
from src.evaluation.task import ScoringTask
from src.models.checkpoint.content import load_checkpoint
from src.runs import hub
from src.runs.folder import RunFolder


@dataclass(frozen=True)
class Trained:
    """A network with its weights.

    Attributes:
        task: network, mean and standard deviation, as scoring uses them; in evaluation, on the CPU.
        classes: of the network.
        facts: what a reader must know, see `described`.
        epoch: that the weights are of.
        step: number of the optimiser's steps before.
    """

    task: ScoringTask
    classes: Classes
    facts: dict[str, Any]
    epoch: int
    step: int


def trained(source: Source, machine: Hardware) -> Trained:
    """The network of a checkpoint; if a training averaged its weights, the checkpoint's weights are the average."""
    assert source.checkpoint is not None and source.stored is not None
    content = load_checkpoint(source.checkpoint)
    task = build.scoring_task(source.stored, machine)
    task.on_load_checkpoint(content)
    task.load_state_dict(content["state_dict"])
    task.eval().requires_grad_(False)
    seglab = content["seglab"]
    digest = seglab.get("checkpoint")  # of a folder that was exported before
    if not isinstance(digest, str):
        digest = hashlib.sha256(source.checkpoint.read_bytes()).hexdigest()
    facts = described(source.stored, seglab, mean=task.mean, std=task.std, source=digest)
    return Trained(task, classes_of(source.stored.data), facts, content["epoch"], content["global_step"])


def output_folder(config: DictConfig, source: Source) -> Path:
    """`output`, else `export` or `shared` inside the run's folder, else a folder under `runs`.

    Raises:
        InputError: the folder is a run folder, whose files would be mixed with these.
    """
    name = "export" if config.format == "onnx" else "shared"
    if config.output is not None:
        folder = Path(config.output)
        if RunFolder(folder).best.exists() or RunFolder(folder).last.exists():
            raise InputError(f"output={folder}: holds a training run; choose another folder.")
        return folder
    if config.run is not None and not hub.is_address(config.run):
        return source.path / name
    return Path(config.runs) / f"{name}-{source.path.stem}-{source.digest()}"
