"""A CUDA device without a card: torch's fake tensors have shapes, types and devices, and no values.

An operation on tensors of two devices raises, as on a card, and a mode counts what a process waits for the device for.
Where there is a card, `cuda(real=True)` counts the same on it.
"""

from contextlib import ExitStack, contextmanager, nullcontext
from unittest import mock

import numpy as np
import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from src.crf.gpu import meanfield as gpu
from src.data import transforms

aten = torch.ops.aten
DEVICE = torch.device("cuda", 0)
CACHES = (transforms._statistics, gpu._spatial)  # hold tensors of a device

KINDS = [
    pytest.param(False, id="fake"),
    pytest.param(True, id="real", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")),
]

# Their results are values for the host, or have as many elements as the values of their input say.
VALUES = (
    *(aten._local_scalar_dense, aten.equal, aten.nonzero, aten.masked_select, aten.bincount, aten._unique2),
    *(aten.unique_dim, aten.unique_consecutive, aten.unique_dim_consecutive),
)
COPIES = (aten._to_copy, aten.copy_)


class Reads(TorchDispatchMode):
    """Counts what the host waits for the device for.

    Attributes:
        seen: per read of values, of a size that depends on values, and per copy to the host, what it was.
        sent: the same per copy from the host that waits until the device is there.
        fake: give made values instead: ones, and half of the possible elements.
    """

    def __init__(self, *, fake):
        super().__init__()
        self.fake = fake
        self.seen, self.sent = [], []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        op, kwargs = func.overloadpacket, kwargs or {}
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        is_read = op in VALUES or _is_masked(op, args) or (op is aten.repeat_interleave and "output_size" not in kwargs)
        if is_read and any(tensor.is_cuda for tensor in given):
            self.seen.append(str(op))
        if self.fake and (made := _made(op, args)) is not None:
            return made
        out = func(*args, **kwargs)
        if op in COPIES and not (kwargs.get("non_blocking") or (op is aten.copy_ and args[2:3] == (True,))):
            if given[-1].is_cuda and not out.is_cuda:
                self.seen.append(str(op))
            elif out.is_cuda and not given[-1].is_cuda:
                self.sent.append(str(op))
        return out


def _is_masked(op, args):
    """Indexing by a mask: the number of its true elements must be known."""
    masks = [mask for mask in args[1] if mask is not None] if op in (aten.index, aten.index_put_) else []
    return any(mask.dtype == torch.bool for mask in masks)


def _made(op, args):
    """What fake tensors have no answer for; None: they have."""
    if op is aten._local_scalar_dense:
        return np.ones((), dtype=str(args[0].dtype).removeprefix("torch.").replace("bfloat16", "float32")).item()
    if op is aten.nonzero:
        return args[0].new_empty(max(1, args[0].numel() // 2), args[0].dim(), dtype=torch.int64)
    if _is_masked(op, args) and op is aten.index:
        return args[0].new_empty(max(1, args[0].numel() // 2))
    if op is aten.mm and args[0].layout == torch.sparse_csr:  # a product with a sparse matrix
        assert args[0].device == args[1].device, "a mix of devices"
        return args[1].new_empty(args[0].shape[0], args[1].shape[1])
    return None


@contextmanager
def cuda(*, real=False):
    """Within the block, `DEVICE` exists; gives what counts the reads from it."""
    reads = Reads(fake=not real)
    with ExitStack() as stack:
        for cache in CACHES:
            cache.cache_clear()
            stack.callback(cache.cache_clear)
        if not real:
            for patch in _patches():
                stack.enter_context(patch)
            stack.enter_context(FakeTensorMode(allow_non_fake_inputs=True, allow_fallback_kernels=False))
        stack.enter_context(reads)
        yield reads


def _patches():
    """In place of what asks the driver or needs values."""
    host = lambda tensor: np.ones(tensor.cpu().shape, dtype=str(tensor.dtype).removeprefix("torch."))  # noqa: E731
    return [
        mock.patch.object(gpu, "has_kernels", lambda device: False),  # they need addresses
        mock.patch.object(FakeTensor, "tolist", lambda self: host(self).tolist()),
        mock.patch.object(FakeTensor, "numpy", lambda self: host(self), create=True),
        mock.patch.object(FakeTensor, "__format__", lambda self, spec: format(self.item(), spec)),
        mock.patch.object(FakeTensor, "__deepcopy__", lambda self, memo: self.detach().clone()),
        mock.patch.object(FakeTensor, "record_stream", lambda self, stream: None, create=True),
        mock.patch("torch.cuda.Event"),
        mock.patch("torch.cuda.Stream"),
        mock.patch("torch.cuda.current_stream"),
        mock.patch("torch.cuda.stream", lambda stream: nullcontext()),
        mock.patch("torch.cuda.is_bf16_supported", return_value=True),
        mock.patch("torch.cuda.amp.common.amp_definitely_not_available", return_value=False),
    ]
