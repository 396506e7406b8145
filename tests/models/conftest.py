"""Networks shared by the tests: torchvision's own, with a random but lively state."""

import pytest
import torch
from torch import nn
from torchvision.models import get_model


def trained(name: str) -> nn.Module:
    """torchvision's DeepLabV3 with random weights whose BatchNorms fit them roughly, as after training."""
    torch.manual_seed(0)
    network = get_model(name, weights=None, weights_backbone=None, aux_loss=True)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias, 0, 0.3)
        norm.momentum = None  # statistics of the one batch
    with torch.no_grad():
        network.train()(torch.randn(2, 3, 97, 97))
    for norm in norms:
        norm.momentum = 0.1
        norm.running_var *= torch.empty_like(norm.running_var).uniform_(0.8, 1.25)
    return network.eval()


@pytest.fixture(scope="session")
def resnet101_v3() -> nn.Module:
    return trained("deeplabv3_resnet101")


@pytest.fixture(scope="session")
def mobilenet_v3() -> nn.Module:
    return trained("deeplabv3_mobilenet_v3_large")
