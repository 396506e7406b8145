"""Around a run: loggers, the fit and which epoch was best, who watches the scoring."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import EarlyStopping, EMAWeightAveraging, ModelCheckpoint
from lightning.pytorch.loggers import Logger, WandbLogger
from omegaconf import DictConfig, OmegaConf

from src import processes, results
from src.checkpoint import load_checkpoint
from src.data.datamodule import SegmentationDataModule
from src.errors import InputError
from src.guards import memory_for
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


def check_resume(path: Path, config: DictConfig) -> int:
    """The last epoch of a checkpoint; raises InputError unless it is one of ours, of the same network and optimiser."""
    content = load_checkpoint(path)
    stored = OmegaConf.create(content["seglab"]["config"])
    for choice in ("backbone", "head"):
        if stored[choice].name != config[choice].name:
            raise InputError(
                f"resume={path}: was trained with {choice}={stored[choice].name}, not {config[choice].name}."
            )
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
    """Train, and leave the best epoch's checkpoint in the folder; gives the monitor's key and value, and the epoch.

    The epoch counts from 0; it is None where the network is scored as its weights came.
    """
    recipe = config.recipe
    if recipe.epochs > 0:
        with memory_for(task, batch_size=recipe.batch_size // trainer.world_size, crop=recipe.augment.crop):
            trainer.fit(task, data, ckpt_path=resume, weights_only=True)
        # When a checkpoint is loaded to be scored it would put the weights back that it averages.
        trainer.callbacks = [one for one in trainer.callbacks if not isinstance(one, EMAWeightAveraging)]  # type: ignore[attr-defined]
        if _monitored(trainer).best_model_score is not None or config.trainer.max_time is None:
            return best_of(trainer, folder)
        # The time was up before an epoch that is validated had ended: what there is is scored.
    trainer.validate(task, data, verbose=False)
    trainer.save_checkpoint(folder.best)
    epoch = trainer.current_epoch if recipe.epochs > 0 else None
    return {"key": task.monitor, "value": trainer.callback_metrics[task.monitor].item(), "epoch": epoch}


def best_of(trainer: pl.Trainer, folder: RunFolder) -> dict[str, Any]:
    """Which epoch was best."""
    checkpoints = _monitored(trainer)
    if not folder.best.exists() or checkpoints.best_model_score is None:
        raise InputError(
            f"{folder.path}: no epoch was completed, so there is nothing to score; a checkpoint that is resumed may "
            f"have all of recipe.epochs={trainer.max_epochs} behind it already."
        )
    value = checkpoints.best_model_score.item()
    if not math.isfinite(value):
        raise InputError(
            f"{folder.path}: {checkpoints.monitor} is {value}: training diverged; try a smaller learning rate."
        )
    return {"key": checkpoints.monitor, "value": value, "epoch": load_checkpoint(folder.best)["epoch"]}


def _monitored(trainer: pl.Trainer) -> ModelCheckpoint:
    """The callback that keeps the best checkpoint."""
    found = trainer.checkpoint_callback
    assert isinstance(found, ModelCheckpoint)
    return found


def cut_short(trainer: pl.Trainer, config: DictConfig) -> str:
    """What ended the training before its last epoch, in words; empty if nothing did."""
    if trainer.current_epoch >= config.recipe.epochs:
        return ""
    stopped = any(isinstance(one, EarlyStopping) and one.stopped_epoch > 0 for one in trainer.callbacks)  # type: ignore[attr-defined]
    key = "recipe.early_stopping" if stopped else "trainer.max_time"
    return f"after {trainer.current_epoch} of {config.recipe.epochs} epochs by {key}={OmegaConf.select(config, key)}"


def when(best: dict[str, Any]) -> str:
    """The epoch of a best checkpoint, in words."""
    return "" if best["epoch"] is None else f" in epoch {best['epoch']}"


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
