"""Lightning's Trainer as we use it: to fit with all callbacks, or to score with none."""

import inspect
import logging
import warnings
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback, EarlyStopping, EMAWeightAveraging, ModelCheckpoint, RichProgressBar
from lightning.pytorch.loggers import Logger
from lightning.pytorch.strategies import DDPStrategy
from omegaconf import DictConfig
from torch.nn.parallel import DistributedDataParallel

from src.guards import FiniteLoss
from src.hardware import Hardware
from src.runs import RunFolder
from src.task import mode_of
from src.timing import EpochTimes, OperatorTimes


def fitting_trainer(config: DictConfig, machine: Hardware, folder: RunFolder, loggers: list[Logger]) -> pl.Trainer:
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
