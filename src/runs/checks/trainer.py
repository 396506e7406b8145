"""Checks of the groups `trainer` and `logger`: device, precision, processes, time. No torch."""

import os
import re
from typing import Any

from omegaconf import DictConfig

from src.core.errors import InputError
from src.core.machine import usable_cores
from src.core.values import check_config, check_flag, check_text, choice, either, many, number, parts, shown, whole

ACCELERATORS = ("auto", "cpu", "cuda", "gpu", "mps")
PRECISIONS = ("auto", "32-true", "bf16-mixed", "16-mixed")
WORKERS = max(16, 4 * usable_cores())  # a worker is a process


def _max_time(key: str, value: Any) -> None:
    limit = str(value)
    if not (re.fullmatch(r"\d\d:\d\d:\d\d:\d\d", limit, re.ASCII) and limit.strip("0:")):
        raise InputError(f"{key}={shown(value)}: write it as DD:HH:MM:SS, above 0, such as 00:01:30:00.")


TRAINER = parts(
    {
        "name": check_text,
        "accelerator": choice(*ACCELERATORS),
        "devices": either(("auto",), whole(1, 64)),
        "nodes": whole(1, 10_000),
        "precision": choice(*PRECISIONS),
        "channels_last": either((None,), check_flag),
        "compile": check_flag,
        "workers": either((None,), whole(0, WORKERS, "processes per device, at most four per core")),
        "cache": either(("auto",), number(0, 1e5)),
        "max_time": either((None,), _max_time),
        "profile": check_flag,
    }
)
LOGGER = parts(
    {"name": choice("csv", "wandb")},
    {
        "project": check_text,
        "entity": either((None,), check_text),
        "group": either((None,), check_text),
        "tags": many(check_text),
        "mode": choice("online", "offline"),
    },
)


def check_trainer(trainer: DictConfig) -> None:
    """Raise InputError for wrong trainer options, or if they do not fit the processes that a launcher has started."""
    check_config(trainer, TRAINER, "trainer")
    check_launcher(trainer)


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
