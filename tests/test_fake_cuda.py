"""The device without a card notices what it is there for."""

from contextlib import suppress

import pytest
import torch
from torch._subclasses.fake_tensor import DynamicOutputShapeException

from src.models.losses import CrossEntropy
from tests import fake_cuda

READS = {
    "item": lambda x: x.sum().item(),
    "bool": lambda x: bool((x > 0).any()),
    "int": lambda x: int(x.max()),
    "list": lambda x: x.tolist(),
    "copy": lambda x: x.cpu(),
    "copy into": lambda x: torch.zeros(6).copy_(x),
    "positions": lambda x: x.nonzero(),
    "mask": lambda x: x[x > 0],
    "masked assignment": lambda x: x.index_put_((x > 0,), x[0]),
    "counts": lambda x: torch.bincount(x.long()),
    "distinct": lambda x: x.unique(),
    "selection": lambda x: x.masked_select(x > 0),
    "repetition": lambda x: x.repeat_interleave(x.long()),
}


@pytest.mark.parametrize("real", fake_cuda.KINDS)
@pytest.mark.parametrize("name", READS)
def test_a_planted_read_is_seen(name, real):
    with fake_cuda.cuda(real=real) as reads:
        values = torch.ones(6, device=fake_cuda.DEVICE)
        with suppress(DynamicOutputShapeException):
            READS[name](values)
    assert len(reads.seen) == 1


@pytest.mark.parametrize("real", fake_cuda.KINDS)
def test_what_stays_on_the_device_is_not(real):
    with fake_cuda.cuda(real=real) as reads:
        values = torch.ones(6, device=fake_cuda.DEVICE)
        values.where(values > 0, 2).softmax(0).add_(values.sum()).index_add_(0, values.long(), values)
        torch.ones(6).sum().item()
        assert not reads.seen and not reads.sent
        values + torch.tensor([1.0], device=fake_cuda.DEVICE)
    assert not reads.seen and len(reads.sent) == 1


@pytest.mark.parametrize("real", fake_cuda.KINDS)
def test_a_planted_mix_of_devices_raises(real):
    with fake_cuda.cuda(real=real):
        logits = torch.zeros(2, 3, 4, 4, device=fake_cuda.DEVICE)
        target = torch.zeros(2, 4, 4, dtype=torch.int64, device=fake_cuda.DEVICE)
        with pytest.raises(RuntimeError, match="device"):
            CrossEntropy([1.0, 2.0, 3.0])(logits, target)
