"""Lightning's Trainer around a run: loggers, checkpoints, which epoch was best, who watches the scoring."""

import inspect
import logging
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import (
    Callback,
    EarlyStopping,
    EMAWeightAveraging,
    ModelCheckpoint,
    RichProgressBar,
)
from lightning.pytorch.loggers import Logger, WandbLogger
from lightning.pytorch.strategies import DDPStrategy
from omegaconf import DictConfig, OmegaConf
from torch.nn.parallel import DistributedDataParallel

from src import processes, results
from src.checkpoint import load_checkpoint
from src.data.datamodule import SegmentationDataModule
from src.errors import InputError
from src.guards import FiniteLoss, memory_for
from src.hardware import Hardware
from src.metrics import MetricsFile
from src.runs import RunFolder
from src.task import SegmentationTask, mode_of
from src.timing import EpochTimes, OperatorTimes
from src.variants import Observer, VariantScorer


def trainer(config: DictConfig, machine: Hardware, folder: RunFolder, loggers: list[Logger]) -> pl.Trainer:
    """Lightning's Trainer to train with: checkpoints in the run folder, the monitor read from one place."""
    recipe, chosen = config.recipe, config.trainer
    if recipe.accumulate > 1:
        warnings.warn(
            f"recipe.accumulate={recipe.accumulate}: the optimiser sees {recipe.accumulate * recipe.batch_size} images "
            f"per step, BatchNorm no more than the {recipe.batch_size} of a batch.",
            stacklevel=2,
        )
    return _trainer(
        machine,
        folder,
        callbacks=_callbacks(config, folder),
        logger=loggers,
        sync_batchnorm=machine.processes > 1 and machine.device == "cuda",
        max_epochs=recipe.epochs,
        max_time=chosen.max_time,
        check_val_every_n_epoch=recipe.val_every,
        gradient_clip_val=recipe.gradient_clip,
        accumulate_grad_batches=recipe.accumulate,
    )


def scoring_trainer(machine: Hardware, folder: RunFolder) -> pl.Trainer:
    """Lightning's Trainer to score a checkpoint with."""
    return _trainer(machine, folder, callbacks=[RichProgressBar(leave=False)], logger=False)


def _trainer(machine: Hardware, folder: RunFolder, **options: Any) -> pl.Trainer:
    _hush()
    return pl.Trainer(
        accelerator=machine.accelerator,
        devices=machine.devices,
        num_nodes=machine.nodes,
        strategy=_strategy(machine),
        precision=machine.precision,  # type: ignore[arg-type]  # checked by Lightning
        default_root_dir=folder.path,
        enable_checkpointing="max_epochs" in options,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=10**9,  # metrics are logged per epoch
        use_distributed_sampler=False,  # the datamodule shares out
        **options,
    )


def _strategy(machine: Hardware) -> str | DDPStrategy:
    """DDP over several processes.

    It leaves buffers, BatchNorm's statistics, to SyncBN or to the task: it would send them around in each validation
    step, of which processes may have different numbers.
    """
    if machine.processes == 1:
        return "auto"
    known = inspect.signature(DistributedDataParallel).parameters
    silent = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"  # its name before 2.15
    options: dict[str, Any] = {"gradient_as_bucket_view": True, silent: False}
    return DDPStrategy(**options)


def _callbacks(config: DictConfig, folder: RunFolder) -> list[Callback]:
    recipe = config.recipe
    mode = mode_of(recipe.monitor)
    found: list[Callback] = [
        RichProgressBar(leave=False),
        FiniteLoss(folder),
        EpochTimes(images=recipe.batch_size, exact=config.trainer.profile),
        *([OperatorTimes(folder.path / "profile")] if config.trainer.profile else []),
        ModelCheckpoint(
            folder.path,
            filename=folder.best.stem,
            monitor=recipe.monitor,
            mode=mode,
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
        found.append(EarlyStopping(recipe.monitor, patience=recipe.early_stopping, mode=mode))
    if recipe.ema is not None:
        found.append(EMAWeightAveraging(decay=recipe.ema))
    return found


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


def _hush() -> None:
    """Keep Lightning's start-up tips and the warnings about what is meant here off the screen."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (
        r".*does not have many workers.*",  # chosen from the machine, see src.hardware
        r".*exists and is not empty.*",  # a resumed run writes into its own folder
        r".*smaller than the logging interval.*",  # metrics are logged per epoch, see src.metrics
        r".*overridden `on_after_batch_transfer` in `LightningModule`.*",  # the task makes its network's input
        r".*callbacks used to create the checkpoint need to be provided.*",  # a checkpoint is scored without them
        r".*isinstance\(treespec, LeafSpec\).*",  # between Lightning and torch
    ):
        warnings.filterwarnings("ignore", message=message)
