"""Lightning's Trainer around a run: loggers, checkpoints, which epoch was best, who watches the scoring."""

import logging
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, RichProgressBar
from lightning.pytorch.loggers import Logger, WandbLogger
from omegaconf import DictConfig, OmegaConf

from src import results
from src.checkpoint import load_checkpoint
from src.data.datamodule import SegmentationDataModule
from src.errors import InputError
from src.hardware import Hardware
from src.metrics import MetricsFile
from src.runs import RunFolder
from src.task import SegmentationTask, mode_of
from src.variants import Scored, VariantScorer


def trainer(config: DictConfig, machine: Hardware, folder: RunFolder, loggers: list[Logger]) -> pl.Trainer:
    """Lightning's Trainer, with checkpoints in the run folder and the monitor read from one place."""
    _hush()
    recipe = config.recipe
    callbacks: list[Callback] = [
        RichProgressBar(leave=False),
        ModelCheckpoint(
            folder.path,
            filename=folder.best.stem,
            monitor=recipe.monitor,
            mode=mode_of(recipe.monitor),
            enable_version_counter=False,
            every_n_epochs=recipe.val_every,
            save_on_train_epoch_end=True,
        ),
        # Behind the best: its state holds theirs. Lightning's own save_last skips epochs that are not the best.
        ModelCheckpoint(
            folder.path, filename=folder.last.stem, enable_version_counter=False, save_on_train_epoch_end=True
        ),
    ]
    if recipe.early_stopping is not None:
        callbacks.append(EarlyStopping(recipe.monitor, patience=recipe.early_stopping, mode=mode_of(recipe.monitor)))
    return pl.Trainer(
        accelerator=machine.accelerator,
        devices=1,
        precision=machine.precision,  # type: ignore[arg-type]  # checked by Lightning
        max_epochs=recipe.epochs,
        max_time=config.trainer.max_time,
        check_val_every_n_epoch=recipe.val_every,
        gradient_clip_val=recipe.gradient_clip,
        logger=loggers,
        callbacks=callbacks,
        default_root_dir=folder.path,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=10**9,  # metrics are logged per epoch
        use_distributed_sampler=False,
    )


@contextmanager
def loggers(config: DictConfig, folder: RunFolder) -> Iterator[list[Logger]]:
    """`metrics.csv` always, W&B where chosen; W&B's run is finished however the block ends."""
    found: list[Logger] = [MetricsFile(folder.metrics)]
    if config.logger.name != "wandb":
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


def best_of(trainer: pl.Trainer, folder: RunFolder) -> dict[str, Any]:
    """Which epoch was best: the monitor's key and value, and the epoch, counted from 0."""
    checkpoints = trainer.checkpoint_callback
    assert isinstance(checkpoints, ModelCheckpoint)
    if not folder.best.exists() or checkpoints.best_model_score is None:
        raise InputError(
            f"{folder.path}: no epoch was completed, so there is nothing to score; a checkpoint that is resumed may "
            f"have all of recipe.epochs={trainer.max_epochs} behind it already, or trainer.max_time is too short."
        )
    value = checkpoints.best_model_score.item()
    if not math.isfinite(value):
        raise InputError(
            f"{folder.path}: {checkpoints.monitor} is {value}: training diverged; try a smaller learning rate."
        )
    return {"key": checkpoints.monitor, "value": value, "epoch": load_checkpoint(folder.best)["epoch"]}


def as_it_is(
    trainer: pl.Trainer, task: SegmentationTask, data: SegmentationDataModule, folder: RunFolder
) -> dict[str, Any]:
    """Without training: the monitor of the network as its weights came, which becomes the best checkpoint."""
    trainer.validate(task, data, verbose=False)
    trainer.save_checkpoint(folder.best)
    return {"key": task.monitor, "value": trainer.callback_metrics[task.monitor].item(), "epoch": None}


def observers(
    config: DictConfig, folder: RunFolder, ids: list[str], loggers: list[Logger]
) -> list[Callable[[Scored], None]]:
    """Who draws the chosen images: PNG files, and W&B where it is on."""
    chosen = results.choose(ids, config.panels)
    found = []
    if chosen:
        variants = [str(name) for name in config.variants]
        found += [
            results.panel_writer(folder.panels, chosen),
            results.extreme_writer(folder.panels / "extremes", variants, len(ids)),
        ]
    for run in _dashboards(loggers):
        from src.dashboard import log_panel

        found.append(partial(log_panel, run, chosen))
    return found


def log_scores(loggers: list[Logger], scorer: VariantScorer) -> None:
    """Final scores to W&B, where it is on."""
    for run in _dashboards(loggers):
        from src import dashboard

        dashboard.log_scores(run, scorer.stacked(), scorer.stacked_trimaps())


def _dashboards(loggers: list[Logger]) -> list[Any]:
    return [logger.experiment for logger in loggers if isinstance(logger, WandbLogger)]


def _hush() -> None:
    """Keep Lightning's start-up tips and the warnings about what is meant here off the screen."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    for message in (
        r".*does not have many workers.*",  # chosen from the machine, see src.hardware
        r".*exists and is not empty.*",  # a resumed run writes into its own folder
        r".*smaller than the logging interval.*",  # metrics are logged per epoch, see src.metrics
        r".*isinstance\(treespec, LeafSpec\).*",  # between Lightning and torch
    ):
        warnings.filterwarnings("ignore", message=message)
