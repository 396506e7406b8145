"""Resuming from a checkpoint: whether it fits the config, and the best epoch before it."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from torch import Tensor, nn

from src.core.command.entry import is_main
from src.core.errors import InputError
from src.core.files.whole import replacing
from src.data.classes import differing_classes
from src.data.config import classes_of
from src.models.checkpoint.content import load_checkpoint
from src.models.checkpoint.fitting import check_weights
from src.runs.checks.stored import checked_config
from src.runs.config_hash import training_identity
from src.runs.folder import RunFolder
from src.runs.loggers import MetricsFile
from src.runs.state import changed_data
from src.training.task import SegmentationTask


def go_on(
    wanted: Path | None, config: DictConfig, folder: RunFolder, task: SegmentationTask, console: Console
) -> Path | None:
    """Check the checkpoint to resume from, and copy the best checkpoint of its run: it may stay the best.

    If `last.ckpt` of the folder is damaged, the training goes on from `best.ckpt`.

    Args:
        wanted: path of the checkpoint; None: the training starts from the beginning.
        config: of the resumed run.
        folder: of the resumed run.
        task: of the resumed run; it is told if its recipe is another than the checkpoint's.
        console: gets one line about the checkpoint.

    Returns:
        The path of the checkpoint to go on from; None where there is none.

    Raises:
        InputError: it is not of this project, of another network or optimiser, or this folder's data has changed.
    """
    if wanted is None:
        return None
    main, is_own = is_main(config), wanted.parent.resolve() == folder.path.resolve()
    path, content, said = _read(wanted, folder) if is_own else (wanted, load_checkpoint(wanted, training=True), "")
    stored = _check_resume(path, content, config, task)
    if is_own:
        _refuse_changed(content["seglab"], path, task, ["train", "val"])
        if main:
            _complete_row(content, folder)
    elif content["epoch"] + 1 >= config.recipe.epochs:
        raise InputError(
            f"resume={path}: has done {content['epoch'] + 1} epochs already, and the new total is "
            f"recipe.epochs={config.recipe.epochs}: give more."
        )
    said += f"after epoch {int(content['epoch'])} of {path}"
    is_same_score = _score(content["seglab"]) == _score(task.provenance)
    if _schedule(stored) != _schedule(config) or not is_same_score:
        task.recipe_before = stored.recipe if is_same_score else OmegaConf.merge(stored.recipe, {"scheduler": None})
        said += "; rates and schedule are those of the new config"
    said += "" if is_own else _adopt_best(path, folder, task, copy=main)
    console.print(f"resuming    {said}", soft_wrap=True)
    return path


def checked(
    ended: dict[str, Any] | None, config: DictConfig, folder: RunFolder, task: SegmentationTask
) -> dict[str, Any] | None:
    """How the training in a folder has ended, as given; None if it has not.

    Raises:
        InputError: `best.ckpt` is not of this run or of the one that it went on from, or the data has changed since.
    """
    if ended is not None:
        content = load_checkpoint(folder.best)["seglab"]
        adopted, own = ended["monitor"].get("adopted"), training_identity(config)
        if of_run(content, folder.best) != (adopted or own):
            raise InputError(f"{folder.best}: is of another run; overwrite=true trains again.")
        _refuse_changed(content, folder.best, task, ["val"] if adopted else ["train", "val"])
        if adopted and folder.last.exists():  # of this run
            _refuse_changed(load_checkpoint(folder.last)["seglab"], folder.last, task, ["train"])
    return ended


def of_run(seglab: Mapping[str, Any], path: Path) -> str:
    """The identity of the training that has written a checkpoint."""
    return training_identity(checked_config(seglab["config"], path, training=True))


def _refuse_changed(seglab: dict[str, Any], path: Path, task: SegmentationTask, splits: Sequence[str]) -> None:
    before, found = seglab["fingerprint"], task.provenance["fingerprint"]
    if changed := [name for name in splits if before.get(name) != found.get(name)]:
        raise InputError(changed_data(path, changed))


def _read(last: Path, folder: RunFolder) -> tuple[Path, dict[str, Any], str]:
    """The checkpoint of this folder to go on from, its content, and what happened to the other one."""
    try:
        return last, load_checkpoint(last, training=True), ""
    except InputError as error:
        try:
            return (
                folder.best,
                load_checkpoint(folder.best, training=True),
                f"{last.name} is damaged, so the training goes on ",
            )
        except InputError:
            raise InputError(f"{error} Or train again: overwrite=true deletes the run in {folder.path}.") from error


def _complete_row(content: dict[str, Any], folder: RunFolder) -> None:
    """Write what the last epoch's row of `metrics.csv` lacks if the run was killed before the row was complete."""
    row = content.get("metrics")
    if isinstance(row, dict) and folder.metrics.exists():
        MetricsFile(folder.metrics).complete(int(content["epoch"]), int(content["global_step"]) - 1, row)


_TRAINED_ON = ("name", "images", "train", "val", "group", "train_list", "train_limit")


def _schedule(config: DictConfig) -> list[Any]:
    """What decides the learning rate of each step."""
    keys = ("optimizer", "scheduler", "new_layers_lr_factor", "epochs", "batch_size", "accumulate")
    return [config.recipe[key] for key in keys] + [config.data[key] for key in _TRAINED_ON]


def _score(seglab: Mapping[str, Any]) -> tuple[Any, ...]:
    """What decides whether the monitor of two runs is the same score."""
    return (
        seglab["fingerprint"]["val"],
        tuple(seglab["classes"]["names"]),
        *(seglab["config"]["recipe"][key] for key in ("protocol", "monitor")),
    )


def _adopt_best(path: Path, folder: RunFolder, task: SegmentationTask, *, copy: bool) -> str:
    """Copy the best checkpoint that lies beside a checkpoint of another folder; returns what is to be said of it."""
    best = RunFolder(path.parent).best
    if not best.exists():
        return "; no best epoch lies beside it"
    stored = load_checkpoint(best)["seglab"]
    if _score(stored) != _score(task.provenance):
        return "; its best epoch does not count: it has other images, protocol or monitor"
    if copy:
        with replacing(folder.best) as temporary:
            shutil.copyfile(best, temporary)
    return ""


def _check_resume(path: Path, content: dict[str, Any], config: DictConfig, task: SegmentationTask) -> DictConfig:
    """The config of a checkpoint; raises InputError if it has another network or optimiser, or is not ours."""
    stored = checked_config(content["seglab"]["config"], path, training=True)
    for choice in ("backbone", "head"):
        if stored[choice].name != config[choice].name:
            raise InputError(
                f"resume={path}: was trained with {choice}={stored[choice].name}, not {config[choice].name}."
            )
    names = content["seglab"]["classes"]["names"]
    if differ := differing_classes(names, classes_of(config.data).names):
        raise InputError(
            f"resume={path}: was trained on other classes ({differ}); only a run of the same classes goes on from it."
        )
    if (stored.recipe.ema is None) != (config.recipe.ema is None):  # the optimiser's state belongs to other weights
        ema = "null" if stored.recipe.ema is None else stored.recipe.ema
        raise InputError(f"resume={path}: was trained with recipe.ema={ema}, so it only goes on with recipe.ema={ema}.")
    if stored.recipe.optimizer.name != config.recipe.optimizer.name:
        raise InputError(f"resume={path}: was trained with recipe.optimizer.name={stored.recipe.optimizer.name}.")
    groups = task.parameter_groups()
    _check_groups(content, [len(group) for group in groups], stored, config, path)
    if config.recipe.optimizer.name != "Adafactor":  # whose state has shapes of its own
        _check_state(content, [one for group in groups for one in group], path)
    check_weights(content["state_dict"], task.state_dict(), path)
    _check_progress(content, stored, path)
    return stored


def _check_progress(content: dict[str, Any], stored: DictConfig, path: Path) -> None:
    """Raise InputError unless the checkpoint says how far its epochs and its schedule have come."""
    try:
        loop = content["loops"]["fit_loop"]
        counts = [
            loop["epoch_loop.batch_progress"]["total"]["ready"],
            *(one["last_epoch"] for one in content["lr_schedulers"]),
        ]
        is_known = loop["epoch_progress"]["current"]["processed"] == content["epoch"] + 1
        is_known &= len(counts) == 1 + (stored.recipe.scheduler is not None)
        is_known &= all(isinstance(count, int) and count >= 0 for count in counts)
    except (KeyError, TypeError):
        is_known = False
    if not is_known:
        raise InputError(f"resume={path}: does not say how far its training has come; start anew with resume=null.")


def _check_groups(
    content: dict[str, Any], sizes: list[int], stored: DictConfig, config: DictConfig, path: Path
) -> None:
    """Raise InputError unless as many parameters learn at each of the rates as in the checkpoint."""
    try:
        saved = [len(group["params"]) for group in content["optimizer_states"][0]["param_groups"]]
    except (IndexError, KeyError, TypeError) as error:
        raise InputError(f"resume={path}: holds no state of an optimiser that could go on ({error}).") from error
    before, now = (one.backbone.weights or "none" for one in (stored, config))
    if saved != sizes and before != now:
        raise InputError(
            f"resume={path}: was trained with backbone.weights={before}; with {now} other layers are new, and new "
            "layers have a rate of their own: give the same weights."
        )
    if saved != sizes:
        raise InputError(f"resume={path}: has groups of {saved} parameters, and this training has groups of {sizes}.")


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
