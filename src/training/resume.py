"""Resuming from a checkpoint: whether it fits the config, and the best epoch before it."""

import shutil
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from src.core.command import is_main
from src.core.errors import InputError
from src.core.files import replacing
from src.models.checkpoint import load_checkpoint
from src.runs.checks.stored import checked_config
from src.runs.folder import RunFolder


def go_on(path: Path, config: DictConfig, folder: RunFolder, provenance: dict[str, Any]) -> str:
    """Check the checkpoint to resume from, and copy the best checkpoint of its run: it may stay the best.

    Args:
        path: of the checkpoint.
        config: of the resumed run.
        folder: of the resumed run.
        provenance: that the resumed run's own checkpoints will hold.

    Returns:
        A message about it.

    Raises:
        InputError: it is not of this project, or of another network or optimiser.
    """
    said = f"after epoch {_check_resume(path, config)} of {path}"
    best = RunFolder(path.parent).best
    if path.parent.resolve() == folder.path.resolve():
        return said
    if not best.exists():
        return f"{said}; no best epoch lies beside it"
    stored = load_checkpoint(best)["seglab"]
    scored = [
        (one["fingerprint"]["val"], *(one["config"]["recipe"][key] for key in ("protocol", "monitor")))
        for one in (stored, provenance)
    ]
    if scored[0] != scored[1]:
        return f"{said}; its best epoch does not count: it has other images, protocol or monitor"
    if is_main(config):
        with replacing(folder.best) as temporary:
            shutil.copyfile(best, temporary)
    return said


def _check_resume(path: Path, config: DictConfig) -> int:
    """The last epoch of a checkpoint; raises InputError if it has another network or optimiser, or is not ours."""
    content = load_checkpoint(path)
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
    return int(content["epoch"])
