"""What is exported is a copy that computes the same; the network itself stays as it is."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from src.core.errors import InputError
from src.evaluation import build
from src.evaluation.export.compare import Agreement, check_agrees
from src.evaluation.export.graph import standalone
from src.evaluation.export.operators import same_padding
from src.models.inference import PLAIN, probabilities
from tests.conftest import CPU, TINY, config

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.3, 0.25)


def test_the_copy_computes_what_is_scored_and_the_network_stays():
    network = build.network(config("backbone=mobilenet_v3_coco", "data=shapes")).train()
    before, inplace = copy.deepcopy(network.state_dict()), [getattr(m, "inplace", None) for m in network.modules()]
    assert True in inplace
    own = standalone(network, mean=MEAN, std=STD)
    image = torch.randint(0, 256, (2, 41, 67, 3), dtype=torch.uint8)
    labels, probs = own(image)
    for parameter in own.parameters():
        parameter.add_(1)

    assert network.training and all(one.requires_grad for one in network.parameters())
    assert [getattr(m, "inplace", None) for m in network.modules()] == inplace
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    pixels = (image.permute(0, 3, 1, 2) / 255 - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    ours = torch.stack([probabilities(network.eval(), one[None], PLAIN) for one in pixels])
    torch.testing.assert_close(probs, ours, rtol=1e-4, atol=1e-5)
    assert labels.dtype == torch.uint8 and torch.equal(labels.long(), probs.argmax(1))


KINDS = [(3, 2, 1, 4), (5, 2, 1, 1), (5, 1, 2, 1), (3, 1, 1, 2)]


@pytest.mark.parametrize("size", [(8, 11), (9, 8), (7, 7)])
@pytest.mark.parametrize(("kernel", "stride", "dilation", "groups"), KINDS)
def test_same_padding_is_timms(size, kernel, stride, dilation, groups):
    timm = pytest.importorskip("timm.layers", reason="needs timm: pip install timm")
    conv = timm.Conv2dSame(4, 8, kernel, stride=stride, dilation=dilation, groups=groups)
    network, features = nn.Sequential(conv), torch.randn(2, 4, *size)
    expected = network(features)
    same_padding.replace(network)
    assert network[0] is not conv
    torch.testing.assert_close(network(features), expected)


@pytest.mark.parametrize(("same", "kept"), [(99_900, True), (99_899, False)])
def test_less_than_999_in_1000_equal_labels_are_refused(same, kept):
    found = Agreement(pixels=100_000, same=same, largest=0.25)
    if kept:
        check_agrees(found, "val")
    else:
        with pytest.raises(InputError, match=r"on val, 0\.101 % of the pixels.*not kept"):
            check_agrees(found, "val")


def test_a_checkpoints_machine_does_not_matter():
    task = build.scoring_task(config(*TINY), CPU)
    channels_last = task.network.to(memory_format=torch.channels_last)
    own = standalone(channels_last, mean=MEAN, std=STD)
    assert all(one.is_contiguous() for one in own.parameters())
    assert not next(channels_last.parameters()).is_contiguous()


def test_the_cost_of_many_images_has_an_interval():
    random, truth = np.random.default_rng(0), np.full((40, 4), 100)
    rows = [np.stack([random.binomial(100, share, (40, 4)), truth, truth], axis=1) for share in (0.8, 0.85)]
    cost = Agreement(margins=([*rows[0]], [*rows[1]])).cost(200)
    assert cost.low[0] <= cost.value[0] <= cost.high[0] and cost.value[0] < 0
