"""The processes that share one training: which this is, how many there are, what they tell each other.

There is one until Lightning's Trainer has started to fit or test on several devices.
"""

from typing import Any

import torch.distributed as dist
from torch import Tensor


def rank() -> int:
    """The number of this process, from 0."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def count() -> int:
    """How many processes there are."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def gather(thing: Any) -> list[Any]:
    """What each process gives, in the order of their ranks, on all of them; a collective: all must come here."""
    if count() == 1:
        return [thing]
    found: list[Any] = [None] * count()
    dist.all_gather_object(found, thing)
    return found


def everywhere(flag: Tensor) -> Tensor:
    """Whether a truth value holds in all processes, on its device, which no one waits for; a collective."""
    if count() == 1:
        return flag
    found = flag.int()
    dist.all_reduce(found, dist.ReduceOp.MIN)
    return found.bool()
