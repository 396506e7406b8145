"""The training itself: Lightning's Trainer with all callbacks, the best epoch, and how the training ended."""

import math
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback, RichProgressBar
from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig, OmegaConf
from rich import get_console
from rich.console import Console

from src.core.errors import InputError
from src.core.files.whole import check_room, in_bytes
from src.core.machine import give_back_freed_memory
from src.core.memory import largest_memory
from src.data.datamodule import SegmentationDataModule
from src.data.inspection.batch import draw_batch
from src.evaluation.machine.hardware import Hardware
from src.evaluation.machine.trainer import running_trainer
from src.models.checkpoint.content import load_checkpoint
from src.models.checkpoint.writing import size_of
from src.reporting.output.figures.curves import draw_curves
from src.runs.config_hash import training_identity
from src.runs.folder import RunFolder
from src.training.callbacks.averaging import AverageWeights
from src.training.callbacks.checkpoints import BestEpoch, LastEpoch
from src.training.callbacks.divergence import Divergence
from src.training.callbacks.interruption import Interruption
from src.training.callbacks.profiling import OperatorTimes
from src.training.callbacks.stopping import FinalValidation, Patience, TimeLimit
from src.training.callbacks.storage import SharedFolder
from src.training.callbacks.timing import EpochTimes
from src.training.memory import memory_for
from src.training.resume import of_run
from src.training.task import SegmentationTask, mode_of


def fitting_trainer(
    config: DictConfig, machine: Hardware, folder: RunFolder, loggers: list[Logger]
) -> AbstractContextManager[pl.Trainer]:
    """Lightning's Trainer for training; checkpoints go to the run folder, and all callbacks use the same monitor."""
    recipe = config.recipe
    return running_trainer(
        machine,
        folder.path,
        callbacks=_callbacks(config, folder),
        logger=loggers,
        sync_batchnorm=machine.processes > 1 and machine.device == "cuda",
        max_epochs=recipe.epochs,
        check_val_every_n_epoch=recipe.val_every,
        gradient_clip_val=recipe.gradient_clip,
        accumulate_grad_batches=recipe.accumulate,
    )


def _callbacks(config: DictConfig, folder: RunFolder) -> list[Callback]:
    """The callbacks, in the order in which Lightning calls them.

    Callbacks that ask all processes come before the progress bar, because at the bar only the first process begins to
    gather an epoch's metrics. The checkpoints come last: first the best, then the last, whose file mentions the best.
    """
    recipe, chosen = config.recipe, config.trainer
    mode = mode_of(recipe.monitor)
    found: list[Callback] = [SharedFolder(folder), Divergence(folder), Interruption(folder)]
    found.append(RichProgressBar(leave=False))
    found.append(EpochTimes(images=recipe.batch_size, exact=chosen.profile))
    if chosen.max_time is not None:
        found.append(TimeLimit(chosen.max_time))
    found.append(FinalValidation())
    if chosen.profile:
        found.append(OperatorTimes(folder.path / "profile"))
    if recipe.early_stopping is not None:
        found.append(Patience(recipe.monitor, patience=recipe.early_stopping, mode=mode))
    if recipe.ema is not None:
        found.append(AverageWeights(recipe.ema))
    return [*found, BestEpoch(folder, monitor=recipe.monitor, mode=mode), LastEpoch(folder)]


def fit(
    config: DictConfig,
    trainer: pl.Trainer,
    task: SegmentationTask,
    data: SegmentationDataModule,
    folder: RunFolder,
    resume: Path | None,
) -> dict[str, Any]:
    """Train; save the best epoch's checkpoint and how the training ended in the folder.

    Returns:
        How it ended. `monitor`: key, value and epoch of the best, counted from 0; the epoch is None if the network is
        scored without training; `adopted` is the identity of the best epoch's run, if it is the one resumed from.
        `training`: steps made, steps planned, what stopped it early, or None; and, if it was trained, the seconds that
        all its epochs took, those of this attempt with its checkpoints (`fitting`), and the largest memory of a
        process, see `largest_memory`.
    """
    recipe = config.recipe
    if recipe.epochs > 0:
        if trainer.is_global_zero:
            _check_disk(config, task, folder)
            if not folder.batch.exists():
                draw_batch(data, folder.batch)
            draw_curves(folder)  # of the epochs before a resume
        batch_size = recipe.batch_size // trainer.world_size
        with memory_for(task, batch_size=batch_size, crop=recipe.augment.crop, accumulate=recipe.accumulate):
            started = time.perf_counter()
            trainer.fit(task, data, ckpt_path=resume, weights_only=True)
            fitting = round(time.perf_counter() - started, 1)
        spent = {
            "seconds": _seconds(trainer),
            "fitting": fitting,
            "memory": largest_memory(trainer.strategy.root_device),
        }
        give_back_freed_memory()
        ended = {"monitor": _best(trainer, config, folder), "training": {**_length(trainer, config, task), **spent}}
    else:
        trainer.validate(task, data, verbose=False)
        trainer.save_checkpoint(folder.best)
        value = trainer.callback_metrics[task.monitor].item()
        ended = {
            "monitor": {"key": task.monitor, "value": value, "epoch": None},
            "training": {"steps": 0, "of": 0, "stopped": None},
        }
    if trainer.is_global_zero:
        draw_curves(folder)
        folder.write_ending(ended)
    trainer.strategy.barrier()  # which kept logits there are is asked by all processes
    return ended


def _best(trainer: pl.Trainer, config: DictConfig, folder: RunFolder) -> dict[str, Any]:
    """Which epoch was best."""
    checkpoints = next(one for one in trainer.checkpoint_callbacks if isinstance(one, BestEpoch))
    if not folder.best.exists() or checkpoints.best_model_score is None:
        limit = config.trainer.max_time
        used = f", or all of trainer.max_time={limit}, where its time counts" if limit is not None else ""
        raise InputError(
            f"{folder.path}: no epoch was trained, so there is nothing to score. A resumed checkpoint may already have "
            f"used all of recipe.epochs={trainer.max_epochs}{used}."
        )
    value = checkpoints.best_model_score.item()
    if not math.isfinite(value):
        raise InputError(
            f"{folder.path}: {checkpoints.monitor} is {value}: training diverged; try a smaller learning rate."
        )
    content = load_checkpoint(folder.best)
    best = {"key": checkpoints.monitor, "value": value, "epoch": content["epoch"]}
    run = of_run(content["seglab"], folder.best)
    return best if run == training_identity(config) else {**best, "adopted": run}


def _seconds(trainer: pl.Trainer) -> float:
    """Time of all epochs, with those before a resume."""
    found = next(one for one in trainer.callbacks if isinstance(one, EpochTimes))  # type: ignore[attr-defined]
    return round(found.total, 1)


def _length(trainer: pl.Trainer, config: DictConfig, task: SegmentationTask) -> dict[str, Any]:
    """How many steps were made, and what stopped the training."""
    each = math.ceil(trainer.num_training_batches / trainer.accumulate_grad_batches)
    steps = task.planned_steps or each * config.recipe.epochs
    stopped = None
    if trainer.global_step < steps:
        early = any(isinstance(one, Patience) and one.stopped_epoch > 0 for one in trainer.callbacks)  # type: ignore[attr-defined]
        key = "recipe.early_stopping" if early else "trainer.max_time"
        limit = OmegaConf.select(config, key)
        stopped = None if limit is None else f"{key}={limit}"  # None: all epochs were there before a resume
    return {"steps": trainer.global_step, "of": steps, "stopped": stopped}


def _check_disk(config: DictConfig, task: SegmentationTask, folder: RunFolder) -> None:
    """Print how much disk space the checkpoints need; raises InputError if there is less."""
    weights = size_of(task.state_dict())
    trained = size_of(list(task.network.parameters()))
    recipe = config.recipe
    states = 1 if recipe.optimizer.name in ("SGD", "RMSprop", "Adagrad") else 2  # per weight, about
    one = weights + states * trained + (weights if recipe.ema is not None else 0)
    there = sum(path.stat().st_size for path in (folder.best, folder.last) if path.exists())
    check_room(folder.path, max(one, 3 * one - there), "two checkpoints")  # and the next one, before it replaces one
    get_console().print(f"disk        two checkpoints of about {in_bytes(one)}", highlight=False, markup=False)


def tell(ended: dict[str, Any], console: Console) -> None:
    """Print what stopped a training before its last step, and which epoch was best."""
    length, best = ended["training"], ended["monitor"]
    if length["stopped"] is not None:
        console.print(f"stopped     after {length['steps']} of {length['of']} steps by {length['stopped']}")
    when = "" if best["epoch"] is None else f" in epoch {best['epoch']}"
    console.print(f"best        {best['key']} {best['value']:.4f}{when}; scoring it")
