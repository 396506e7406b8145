"""The processes that share one training: the number of this one, how many there are, and what they exchange.

There is only one process until Lightning's Trainer starts to fit or test on several devices.
"""

from typing import Any

import torch.distributed as dist
from torch import Tensor


def rank() -> int:
    """The number of this process, from 0."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def count() -> int:
    """The number of processes."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def gather(thing: Any) -> list[Any]:
    """The things of all processes in the order of their ranks, on each of them; a collective: all must call it."""
    if count() == 1:
        return [thing]
    found: list[Any] = [None] * count()
    dist.all_gather_object(found, thing)
    return found


def everywhere(flag: Tensor) -> Tensor:
    """Whether a flag is true in all processes; stays on its device, without waiting for it; a collective."""
    if count() == 1:
        return flag
    found = flag.int()
    dist.all_reduce(found, dist.ReduceOp.MIN)
    return found.bool()


def joined(sums: Tensor) -> Tensor:
    """Sums over all processes, for a loss that is one of the whole batch; a collective, and with one process a no-op.

    Args:
        sums: what this process has summed over its part of the batch, any shape.

    Returns:
        The same shape on each process. Its gradient is that of this process's part, times the number of processes,
        because DDP divides the sum of the processes' gradients by that number.
    """
    if count() == 1:
        return sums
    total = sums.detach().clone()
    dist.all_reduce(total)
    own = count() * sums
    return total + (own - own.detach()) if sums.requires_grad else total
