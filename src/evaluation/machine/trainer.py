"""Lightning's Trainer with our settings, for this machine and for scoring."""

import inspect
import logging
import os
import signal
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher
from torch.distributed import DistError
from torch.nn.parallel import DistributedDataParallel

from src.core.errors import InputError
from src.core.memory import memory_for_scoring
from src.evaluation.machine.hardware import Hardware
from src.models.checkpoint.writing import WholeFiles


def scoring_trainer(machine: Hardware, folder: Path) -> AbstractContextManager[pl.Trainer]:
    """Lightning's Trainer for scoring a checkpoint; it may write into `folder`."""
    return running_trainer(machine, folder, callbacks=[RichProgressBar(leave=False)], logger=False)


@contextmanager
def running_trainer(machine: Hardware, folder: Path, **options: Any) -> Iterator[pl.Trainer]:
    """A Trainer that ends the processes it has started, if its block ends with an error.

    Otherwise they would wait for this process in vain, on a GPU for half an hour. If one of them fails, Lightning ends
    this process.
    """
    _hush()
    trainer = pl.Trainer(
        accelerator=machine.accelerator,
        devices=machine.devices,
        num_nodes=machine.nodes,
        strategy=_strategy(machine),
        plugins=[WholeFiles(), *_environment(machine)],
        precision=machine.precision,  # type: ignore[arg-type]  # checked by Lightning
        default_root_dir=folder,
        enable_checkpointing="max_epochs" in options,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=10**9,  # metrics are logged per epoch
        use_distributed_sampler=False,  # the datamodule distributes the images
        **options,
    )
    try:
        with memory_for_scoring():
            yield trainer
    except BaseException as error:
        end_started(trainer.strategy.launcher)
        if machine.processes > 1 and _is_lost(error):
            raise InputError(
                "another of the processes that share this work was lost; the system may have ended it, or its machine "
                "cannot be reached any more. The same command goes on from what is done."
            ) from error
        raise


def _is_lost(error: BaseException) -> bool:
    """Whether an error comes from talking to a process that is gone."""
    return isinstance(error, DistError) or (isinstance(error, RuntimeError) and "gloo/transport" in str(error))


def end_started(launcher: Any) -> None:
    """End the processes that a launcher of Lightning's has started."""
    if isinstance(launcher, _SubprocessScriptLauncher):
        launcher.kill(signal.SIGKILL)
        launcher.procs.clear()  # Lightning's observer would end this process on finding one of them dead


def _environment(machine: Hardware) -> list[Any]:
    """Who starts processes: stated for a single process, since Lightning assumes SLURM in any allocation.

    SLURM's signal before a time limit is ours, see `src.training.callbacks.interruption`: Lightning would save a
    checkpoint in the middle of an epoch and would prefer it to `last.ckpt` from then on.
    """
    if machine.processes == 1 or os.environ.get("SLURM_NTASKS") == "1":
        return [LightningEnvironment()]
    is_slurm = SLURMEnvironment.detect() and not TorchElasticEnvironment.detect()
    return [SLURMEnvironment(auto_requeue=False)] if is_slurm else []


def _strategy(machine: Hardware) -> str | DDPStrategy:
    """DDP over several processes.

    DDP must not send buffers (BatchNorm's statistics): SyncBN or the task keeps them equal. DDP would send them in each
    validation step, but processes may have different numbers of validation steps.
    """
    if machine.processes == 1:
        return "auto"
    known = inspect.signature(DistributedDataParallel).parameters
    silent = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"  # name before 2.15
    options: dict[str, Any] = {"gradient_as_bucket_view": True, silent: False}
    return DDPStrategy(**options)


def _hush() -> None:
    """Hide Lightning's start-up tips and its warnings about things that are intended here."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (
        r".*does not have many workers.*",  # chosen from the machine, see src.evaluation.machine.hardware
        r".*exists and is not empty.*",  # a resumed run writes into its own folder
        r".*smaller than the logging interval.*",  # metrics are logged per epoch, see src.runs.loggers
        r".*overridden `\w+` in `LightningModule` but have passed in.*",  # the task makes its network's input
        r".*callbacks used to create the checkpoint need to be provided.*",  # a checkpoint is scored without them
        r".*predict returned None if it was on purpose.*",  # predictions are written, not returned
        r".*isinstance\(treespec, LeafSpec\).*",  # between Lightning and torch
    ):
        warnings.filterwarnings("ignore", message=message)
