"""Around a run: loggers, the fit and which epoch was best, who watches the scoring."""

import math
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.loggers import Logger, WandbLogger
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from src import processes, results
from src.checkpoint import load_checkpoint
from src.data.datamodule import SegmentationDataModule
from src.endings import BestEpoch, Patience
from src.errors import InputError
from src.files import replacing
from src.hardware import Hardware
from src.heap import give_back_freed_memory
from src.memory import memory_for, memory_for_scoring
from src.metrics import MetricsFile
from src.runs import RunFolder
from src.task import SegmentationTask
from src.variants import Observer, VariantScorer


@contextmanager
def loggers(config: DictConfig, folder: RunFolder) -> Iterator[list[Logger]]:
    """`metrics.csv` always, W&B where chosen; W&B's run is finished however the block ends."""
    found: list[Logger] = [MetricsFile(folder.metrics)]
    if config.logger.name != "wandb" or not processes.is_main(config):
        yield found
        return
    from src.dashboard import dashboard_run

    with dashboard_run(config, folder) as run:
        yield [*found, WandbLogger(experiment=run)]


def batches(recipe: DictConfig, machine: Hardware) -> str:
    """What becomes of a batch over processes, and of several in a step, in words; empty where it is one of each."""
    size, said = recipe.batch_size, ""
    if machine.processes > 1:
        each = size // machine.processes
        said = f"; batch and learning rate are those of all: {size} images a step, {each} on each"
    if recipe.accumulate > 1:
        images = recipe.accumulate * size
        said += f"; the optimiser sees {images} images per step, BatchNorm no more than the {size} of a batch"
    return said


def go_on(path: Path, config: DictConfig, folder: RunFolder, provenance: dict[str, Any]) -> str:
    """Check a checkpoint to go on from, and bring the best one of its run here: it may stay the best.

    Args:
        path: of the checkpoint.
        config: of the run that goes on.
        folder: of the run that goes on.
        provenance: that its own checkpoints will carry.

    Returns:
        What to say of it.

    Raises:
        InputError: it is none of ours, or of another network or optimiser.
    """
    said = f"behind epoch {_check_resume(path, config)} of {path}"
    best = RunFolder(path.parent).best
    if path.parent.resolve() == folder.path.resolve():
        return said
    if not best.exists():
        return f"{said}; its best epoch is not beside it"
    stored = load_checkpoint(best)["seglab"]
    scored = [
        (one["fingerprint"]["val"], *(one["config"]["recipe"][key] for key in ("protocol", "monitor")))
        for one in (stored, provenance)
    ]
    if scored[0] != scored[1]:
        return f"{said}; its best epoch does not count, being that of other images, protocol or monitor"
    if processes.is_main(config):
        with replacing(folder.best) as temporary:
            shutil.copyfile(best, temporary)
    return said


def _check_resume(path: Path, config: DictConfig) -> int:
    """The last epoch of a checkpoint; raises InputError unless it is one of ours, of the same network and optimiser."""
    content = load_checkpoint(path)
    stored = OmegaConf.create(content["seglab"]["config"])
    for choice in ("backbone", "head"):
        if stored[choice].name != config[choice].name:
            raise InputError(
                f"resume={path}: was trained with {choice}={stored[choice].name}, not {config[choice].name}."
            )
    if (stored.recipe.ema is None) != (config.recipe.ema is None):  # the optimiser's state is of other weights
        ema = "null" if stored.recipe.ema is None else stored.recipe.ema
        raise InputError(f"resume={path}: was trained with recipe.ema={ema}, so it goes on with recipe.ema={ema}.")
    if stored.recipe.optimizer["_target_"] != config.recipe.optimizer["_target_"]:
        raise InputError(f"resume={path}: was trained with another optimiser (recipe={stored.recipe.name}).")
    return int(content["epoch"])


def fit(
    config: DictConfig,
    trainer: pl.Trainer,
    task: SegmentationTask,
    data: SegmentationDataModule,
    folder: RunFolder,
    resume: Path | None,
) -> dict[str, Any]:
    """Train, leave the best epoch's checkpoint in the folder, and how it ended; gives what it leaves.

    Returns:
        `monitor`: key, value and epoch of the best, counted from 0 and None where the network is scored as its weights
        came; `training`: steps made, steps that were to be made, and what stopped it before, or None.
    """
    recipe = config.recipe
    if recipe.epochs > 0:
        batch_size = recipe.batch_size // trainer.world_size
        with memory_for(task, batch_size=batch_size, crop=recipe.augment.crop, accumulate=recipe.accumulate):
            trainer.fit(task, data, ckpt_path=resume, weights_only=True)
        give_back_freed_memory()
        ended = {"monitor": _best(trainer, config, folder), "training": _length(trainer, config)}
    else:
        with memory_for_scoring():
            trainer.validate(task, data, verbose=False)
        trainer.save_checkpoint(folder.best)
        value = trainer.callback_metrics[task.monitor].item()
        ended = {
            "monitor": {"key": task.monitor, "value": value, "epoch": None},
            "training": {"steps": 0, "of": 0, "stopped": None},
        }
    if trainer.is_global_zero:
        folder.write_ending(ended)
    return ended


def _best(trainer: pl.Trainer, config: DictConfig, folder: RunFolder) -> dict[str, Any]:
    """Which epoch was best."""
    checkpoints = next(one for one in trainer.checkpoint_callbacks if isinstance(one, BestEpoch))
    if not folder.best.exists() or checkpoints.best_model_score is None:
        limit = config.trainer.max_time
        used = f", or trainer.max_time={limit}, in which its own time counts, too" if limit is not None else ""
        raise InputError(
            f"{folder.path}: no epoch was trained, so there is nothing to score; a checkpoint that is resumed may "
            f"have all of recipe.epochs={trainer.max_epochs} behind it already{used}."
        )
    value = checkpoints.best_model_score.item()
    if not math.isfinite(value):
        raise InputError(
            f"{folder.path}: {checkpoints.monitor} is {value}: training diverged; try a smaller learning rate."
        )
    return {"key": checkpoints.monitor, "value": value, "epoch": load_checkpoint(folder.best)["epoch"]}


def _length(trainer: pl.Trainer, config: DictConfig) -> dict[str, Any]:
    """How far it got, and what stopped it."""
    steps = math.ceil(trainer.num_training_batches / trainer.accumulate_grad_batches) * config.recipe.epochs
    stopped = None
    if trainer.global_step < steps:
        early = any(isinstance(one, Patience) and one.stopped_epoch > 0 for one in trainer.callbacks)  # type: ignore[attr-defined]
        key = "recipe.early_stopping" if early else "trainer.max_time"
        stopped = f"{key}={OmegaConf.select(config, key)}"
    return {"steps": trainer.global_step, "of": steps, "stopped": stopped}


def tell(ended: dict[str, Any], console: Console) -> None:
    """What stopped a training before its last step, and which epoch was best."""
    length, best = ended["training"], ended["monitor"]
    if length["stopped"] is not None:
        console.print(f"stopped     after {length['steps']} of {length['of']} steps by {length['stopped']}")
    when = "" if best["epoch"] is None else f" in epoch {best['epoch']}"
    console.print(f"best        {best['key']} {best['value']:.4f}{when}; scoring it")


def observers(config: DictConfig, folder: RunFolder, ids: list[str], loggers: list[Logger]) -> list[Observer]:
    """Who draws the chosen images: picture files, and W&B where it is on."""
    chosen = results.choose(ids, config.panels)
    if not chosen:
        return []
    variants = [str(name) for name in config.variants]
    found: list[Observer] = [
        results.Panels(folder.panels, chosen),
        results.Extremes(folder.panels / "extremes", variants),
    ]
    if config.logger.name == "wandb":
        from src.dashboard import log_panel

        runs = _dashboards(loggers)
        found.append(results.Overlays(chosen, partial(log_panel, runs[0]) if runs else None))
    return found


def log_scores(loggers: list[Logger], scorer: VariantScorer) -> None:
    """Final scores to W&B, where it is on."""
    for run in _dashboards(loggers):
        from src import dashboard

        dashboard.log_scores(run, scorer.matrices, scorer.trimaps)


def _dashboards(loggers: list[Logger]) -> list[Any]:
    return [logger.experiment for logger in loggers if isinstance(logger, WandbLogger)]
