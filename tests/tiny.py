"""A backbone as small as the contract allows: the checkpoints of ResNet-18 made the tests write 27 GB."""

from collections import OrderedDict

from torch import nn

from src.models.backbones import Backbone


def backbone(model, *, output_stride, native_output_stride):
    low = nn.Sequential(nn.Conv2d(3, 16, 7, stride=4, padding=3, bias=False), nn.BatchNorm2d(16), nn.ReLU())
    stride = output_stride // 4
    out = nn.Sequential(nn.Conv2d(16, 64, 5, stride=stride, padding=2, bias=False), nn.BatchNorm2d(64), nn.ReLU())
    strides = {"output_stride": output_stride, "native_output_stride": native_output_stride}
    body = nn.Sequential(OrderedDict(first=low, second=out))
    return Backbone(body, model=model, low="first", out="second", low_channels=16, out_channels=64, **strides)
