"""Checks of the group `trainer`: device, precision, processes, time. No torch."""

import os
import re

from omegaconf import DictConfig

from src.core.errors import InputError
from src.core.values import check_choice, check_flag, check_number, check_whole

ACCELERATORS = ("auto", "cpu", "cuda", "gpu", "mps")
PRECISIONS = ("auto", "32-true", "bf16-mixed", "16-mixed")


def check_trainer(trainer: DictConfig) -> None:
    """Raise InputError for wrong trainer options, or if they do not fit the processes that a launcher has started."""
    check_choice("trainer.accelerator", trainer.accelerator, ACCELERATORS)
    check_choice("trainer.precision", trainer.precision, PRECISIONS)
    limit = str(trainer.max_time)
    if trainer.max_time is not None and not (re.fullmatch(r"\d\d:\d\d:\d\d:\d\d", limit) and limit.strip("0:")):
        raise InputError(f"trainer.max_time={limit}: write it as DD:HH:MM:SS, above 0, such as 00:01:30:00.")
    if trainer.workers is not None:
        check_whole("trainer.workers", trainer.workers, least=0)
    if trainer.devices != "auto":
        check_whole("trainer.devices", trainer.devices, least=1, why="or auto")
    check_whole("trainer.nodes", trainer.nodes, least=1)
    check_launcher(trainer)
    for key in ("compile", "profile"):
        check_flag(f"trainer.{key}", trainer[key])
    if trainer.channels_last is not None:
        check_flag("trainer.channels_last", trainer.channels_last)
    if trainer.cache != "auto":
        check_number("trainer.cache (GB, or auto)", trainer.cache, 0)


def check_launcher(trainer: DictConfig) -> None:
    """Raise InputError if torchrun or SLURM has started another number of processes than the trainer uses."""
    nodes, devices = trainer.nodes, trainer.devices
    if "LOCAL_WORLD_SIZE" in os.environ:  # only torchrun sets it
        launcher, started = "torchrun", int(os.environ["WORLD_SIZE"])
        devices = int(os.environ["LOCAL_WORLD_SIZE"]) if devices == "auto" else devices
        way_out = "use trainer=ddp, and trainer.nodes=N for N machines"
    elif "SLURM_NTASKS" in os.environ and (trainer.name == "slurm" or nodes > 1):
        launcher, started = "SLURM", int(os.environ["SLURM_NTASKS"])
        way_out = "start srun or sbatch with --ntasks-per-node and --nodes, and use trainer=slurm"
    else:
        return
    if devices != "auto" and devices * nodes != started:
        raise InputError(
            f"{launcher} has started {started} processes, but the trainer uses {devices * nodes} "
            f"(trainer.devices={devices}, trainer.nodes={nodes}): {way_out}."
        )
