"""BatchNorm: freeze pretrained layers, and make the statistics of all processes equal."""

import torch.distributed as dist
from torch import nn

from src.core import processes

NORMS = (nn.modules.batchnorm._BatchNorm,)  # includes SyncBatchNorm


def freeze(network: nn.Module, pretrained: frozenset[str]) -> frozenset[str]:
    """Stop the training of pretrained BatchNorm; gives the names of the modules that must stay in evaluation mode.

    Names, not modules, because SyncBN replaces the modules.
    """
    found = []
    for name, module in network.named_modules():
        if isinstance(module, NORMS) and f"{name}.weight" in pretrained:
            module.requires_grad_(False)
            found.append(name)
    return frozenset(found)


def average_buffers(network: nn.Module) -> None:
    """Replace floating-point buffers by their mean over all processes."""
    if processes.count() == 1:
        return
    for buffer in network.buffers():
        if buffer.is_floating_point():
            dist.all_reduce(buffer)
            buffer /= processes.count()
