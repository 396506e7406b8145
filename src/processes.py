"""The processes that share one training: which this is, how many there are, what they tell each other.

There is one until Lightning's Trainer has started to fit or test on several devices. Imports torch only when asked of
those.
"""

import os
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from src.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

_RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "SLURM_PROCID")  # of torchrun, Lightning and SLURM


def is_main(config: DictConfig) -> bool:
    """Whether this process writes what a run leaves and talks to the screen, also before the processes have met.

    The environment is asked only where the trainer is one of several processes: within an allocation of SLURM
    independent runs have ranks, too.
    """
    several = config.trainer.devices != 1 or config.trainer.nodes != 1
    return not several or all(os.environ.get(name, "0") == "0" for name in _RANKS)


def check_launcher(trainer: DictConfig) -> None:
    """Raise InputError where torchrun or SLURM has started other processes than the trainer shares its work among."""
    nodes, devices = trainer.nodes, trainer.devices
    if "LOCAL_WORLD_SIZE" in os.environ:  # of torchrun alone
        launcher, started = "torchrun", int(os.environ["WORLD_SIZE"])
        devices = int(os.environ["LOCAL_WORLD_SIZE"]) if devices == "auto" else devices
        way_out = "use trainer=ddp, and trainer.nodes=N for N machines"
    elif "SLURM_NTASKS" in os.environ and (trainer.name == "slurm" or nodes > 1):
        launcher, started = "SLURM", int(os.environ["SLURM_NTASKS"])
        way_out = "give srun or sbatch --ntasks-per-node and --nodes, and use trainer=slurm"
    else:
        return
    if devices != "auto" and devices * nodes != started:
        raise InputError(
            f"{launcher} has started {started} processes, and the trainer is one of {devices * nodes} "
            f"(trainer.devices={devices}, trainer.nodes={nodes}): {way_out}."
        )


def rank() -> int:
    """The number of this process, from 0."""
    import torch.distributed as dist

    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def count() -> int:
    """How many processes there are."""
    import torch.distributed as dist

    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def gather(thing: Any) -> list[Any]:
    """What each process gives, in the order of their ranks, on all of them; a collective: all must come here."""
    import torch.distributed as dist

    if count() == 1:
        return [thing]
    found: list[Any] = [None] * count()
    dist.all_gather_object(found, thing)
    return found


def everywhere(flag: "Tensor") -> "Tensor":
    """Whether a truth value holds in all processes, on its device, which no one waits for; a collective."""
    import torch.distributed as dist

    if count() == 1:
        return flag
    found = flag.int()
    dist.all_reduce(found, dist.ReduceOp.MIN)
    return found.bool()
