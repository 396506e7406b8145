"""A plugin: a backbone as small as the contract allows (ResNet-18 made the tests write 27 GB), a loss that fails."""

import os
from collections import OrderedDict

import torch
from torch import nn

from src.models.backbones import Backbone
from src.models.losses import cross_entropy
from src.models.tables import BACKBONES, LOSSES


@BACKBONES.add("tiny")
def backbone(model, *, output_stride, native_output_stride):
    low = nn.Sequential(nn.Conv2d(3, 16, 7, stride=4, padding=3, bias=False), nn.BatchNorm2d(16), nn.ReLU())
    stride = output_stride // 4
    out = nn.Sequential(nn.Conv2d(16, 64, 5, stride=stride, padding=2, bias=False), nn.BatchNorm2d(64), nn.ReLU())
    strides = {"output_stride": output_stride, "native_output_stride": native_output_stride}
    body = nn.Sequential(OrderedDict(first=low, second=out))
    return Backbone(body, model=model, low="first", out="second", low_channels=16, out_channels=64, **strides)


@LOSSES.add("failing")
class Failing(nn.Module):
    """Cross-entropy that fails in one process in its training step number `step`."""

    def __init__(self, kind, rank, step, class_weights):
        super().__init__()
        self.kind, self.left = kind, step
        self.is_here = int(os.environ.get("LOCAL_RANK", "0")) == rank

    def forward(self, logits, target):
        loss = cross_entropy(logits, target)
        if self.kind == "validation" and not loss.requires_grad:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        if self.is_here and loss.requires_grad:
            self.left -= 1
            if self.left == -1:
                if self.kind == "memory":
                    raise torch.OutOfMemoryError("CUDA out of memory.")
                loss = loss * float("nan")
        return {"loss": loss}
