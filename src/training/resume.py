"""Resuming from a checkpoint: whether it fits the config, and the best epoch before it."""

import shutil
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor, nn

from src.core.command import is_main
from src.core.errors import InputError
from src.core.files import replacing
from src.models.checkpoint import check_weights, load_checkpoint
from src.runs.checks.stored import checked_config
from src.runs.folder import RunFolder
from src.training.task import SegmentationTask


def go_on(path: Path, config: DictConfig, folder: RunFolder, task: SegmentationTask) -> str:
    """Check the checkpoint to resume from, and copy the best checkpoint of its run: it may stay the best.

    Args:
        path: of the checkpoint.
        config: of the resumed run.
        folder: of the resumed run.
        task: of the resumed run.

    Returns:
        A message about it.

    Raises:
        InputError: it is not of this project, or of another network or optimiser.
    """
    said = f"after epoch {_check_resume(path, config, task)} of {path}"
    best = RunFolder(path.parent).best
    if path.parent.resolve() == folder.path.resolve():
        return said
    if not best.exists():
        return f"{said}; no best epoch lies beside it"
    stored = load_checkpoint(best)["seglab"]
    scored = [
        (one["fingerprint"]["val"], *(one["config"]["recipe"][key] for key in ("protocol", "monitor")))
        for one in (stored, task.provenance)
    ]
    if scored[0] != scored[1]:
        return f"{said}; its best epoch does not count: it has other images, protocol or monitor"
    if is_main(config):
        with replacing(folder.best) as temporary:
            shutil.copyfile(best, temporary)
    return said


def _check_resume(path: Path, config: DictConfig, task: SegmentationTask) -> int:
    """The last epoch of a checkpoint; raises InputError if it has another network or optimiser, or is not ours."""
    content = load_checkpoint(path, training=True)
    stored = checked_config(content["seglab"]["config"], path, training=True)
    for choice in ("backbone", "head"):
        if stored[choice].name != config[choice].name:
            raise InputError(
                f"resume={path}: was trained with {choice}={stored[choice].name}, not {config[choice].name}."
            )
    if (stored.recipe.ema is None) != (config.recipe.ema is None):  # the optimiser's state belongs to other weights
        ema = "null" if stored.recipe.ema is None else stored.recipe.ema
        raise InputError(f"resume={path}: was trained with recipe.ema={ema}, so it only goes on with recipe.ema={ema}.")
    if stored.recipe.optimizer.name != config.recipe.optimizer.name:
        raise InputError(f"resume={path}: was trained with recipe.optimizer.name={stored.recipe.optimizer.name}.")
    if config.recipe.optimizer.name != "Adafactor":  # whose state has shapes of its own
        _check_state(content, [one for group in task.parameter_groups() for one in group], path)
    check_weights(content["state_dict"], task.state_dict(), path)
    return int(content["epoch"])


def _check_state(content: dict[str, Any], parameters: list[nn.Parameter], path: Path) -> None:
    """Raise InputError unless each tensor of the optimiser's state fits its parameter.

    torch's fused optimisers do not look, and write beyond a smaller one.
    """
    try:
        (saved,) = content["optimizer_states"]
        for index, state in saved["state"].items():
            for name, value in state.items():
                if isinstance(value, Tensor) and value.ndim and not _fits(value, parameters[index]):
                    raise InputError(f"resume={path}: {name} of the optimiser's state does not fit parameter {index}.")
    except InputError:
        raise
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"resume={path}: holds no state of an optimiser that could go on ({error}).") from error


def _fits(value: Tensor, parameter: nn.Parameter) -> bool:
    """The same shape and type, and memory of its own for each number."""
    dense = value.is_contiguous() or value.is_contiguous(memory_format=torch.channels_last)
    return value.shape == parameter.shape and value.dtype == parameter.dtype and dense
