"""Lightning's Trainer as we use it: to fit with all callbacks, or to score with none."""

import inspect
import logging
import os
import signal
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import lightning.pytorch as pl
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.callbacks import Callback, RichProgressBar
from lightning.pytorch.loggers import Logger
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher
from omegaconf import DictConfig
from torch.nn.parallel import DistributedDataParallel

from src.endings import AverageWeights, BestEpoch, FinalValidation, LastEpoch, Patience, TimeLimit
from src.guards import Divergence, SharedFolder
from src.hardware import Hardware
from src.runs import RunFolder
from src.task import mode_of
from src.timing import EpochTimes, OperatorTimes


def fitting_trainer(
    config: DictConfig, machine: Hardware, folder: RunFolder, loggers: list[Logger]
) -> AbstractContextManager[pl.Trainer]:
    """Lightning's Trainer to train with: checkpoints in the run folder, the monitor read from one place."""
    recipe = config.recipe
    return _trainer(
        machine,
        folder,
        callbacks=_callbacks(config, folder),
        logger=loggers,
        sync_batchnorm=machine.processes > 1 and machine.device == "cuda",
        max_epochs=recipe.epochs,
        check_val_every_n_epoch=recipe.val_every,
        gradient_clip_val=recipe.gradient_clip,
        accumulate_grad_batches=recipe.accumulate,
    )


def scoring_trainer(machine: Hardware, folder: RunFolder) -> AbstractContextManager[pl.Trainer]:
    """Lightning's Trainer to score a checkpoint with."""
    return _trainer(machine, folder, callbacks=[RichProgressBar(leave=False)], logger=False)


@contextmanager
def _trainer(machine: Hardware, folder: RunFolder, **options: Any) -> Iterator[pl.Trainer]:
    """A Trainer that takes the processes along that it has started, if its block ends with an error.

    They would wait for this one in vain, on a GPU for half an hour. The other way round Lightning ends this one.
    """
    _hush()
    trainer = pl.Trainer(
        accelerator=machine.accelerator,
        devices=machine.devices,
        num_nodes=machine.nodes,
        strategy=_strategy(machine),
        plugins=_environment(machine),
        precision=machine.precision,  # type: ignore[arg-type]  # checked by Lightning
        default_root_dir=folder.path,
        enable_checkpointing="max_epochs" in options,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=10**9,  # metrics are logged per epoch
        use_distributed_sampler=False,  # the datamodule shares out
        **options,
    )
    try:
        yield trainer
    except BaseException:
        end_started(trainer.strategy.launcher)
        raise


def end_started(launcher: Any) -> None:
    """End the processes that a launcher of Lightning's has started."""
    if isinstance(launcher, _SubprocessScriptLauncher):
        launcher.kill(signal.SIGKILL)
        launcher.procs.clear()  # an observer ends this process when one of them is found dead


def _environment(machine: Hardware) -> list[Any] | None:
    """Who starts processes, if Lightning is not to guess: it takes SLURM for it wherever there is an allocation."""
    alone = machine.processes == 1 or os.environ.get("SLURM_NTASKS") == "1"
    return [LightningEnvironment()] if alone else None


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
    """In the order in which they are asked.

    What asks all processes comes before the bar, with which the first of them alone begins to gather an epoch's
    metrics; the checkpoints come last, and the best before the last, which knows it.
    """
    recipe, chosen = config.recipe, config.trainer
    mode = mode_of(recipe.monitor)
    found: list[Callback] = [SharedFolder(folder), Divergence(folder), RichProgressBar(leave=False)]
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


def _hush() -> None:
    """Keep Lightning's start-up tips and the warnings about what is meant here off the screen."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (
        r".*does not have many workers.*",  # chosen from the machine, see src.hardware
        r".*exists and is not empty.*",  # a resumed run writes into its own folder
        r".*smaller than the logging interval.*",  # metrics are logged per epoch, see src.metrics
        r".*overridden `\w+` in `LightningModule` but have passed in.*",  # the task makes its network's input
        r".*callbacks used to create the checkpoint need to be provided.*",  # a checkpoint is scored without them
        r".*isinstance\(treespec, LeafSpec\).*",  # between Lightning and torch
    ):
        warnings.filterwarnings("ignore", message=message)
