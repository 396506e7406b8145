"""TensorFlow's "same" padding, which depends on the size of an image, in an exported graph.

timm's networks with weights from TensorFlow pad each strided convolution so that the output has the input's size over
the stride, rounded up. torch's tracer follows these sizes as formulas, which soon become too long. ONNX knows such a
convolution as a whole, so it is one operator for the tracer, too.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@torch.library.custom_op("seglab::conv_same", mutates_args=())
def conv_same(features: Tensor, weight: Tensor, bias: Tensor | None, stride: int, groups: int) -> Tensor:
    """Convolution of (B, C, H, W) to (B, D, H / stride, W / stride), rounded up; zeros around, one more at the end."""
    pads = []
    for side, kernel in zip(features.shape[:1:-1], weight.shape[:1:-1], strict=True):
        total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
        pads += [total // 2, total - total // 2]
    return F.conv2d(F.pad(features, pads), weight, bias, stride, groups=groups)


@conv_same.register_fake
def _shape(features: Tensor, weight: Tensor, bias: Tensor | None, stride: int, groups: int) -> Tensor:
    height, width = ((side + stride - 1) // stride for side in features.shape[2:])
    return features.new_empty(features.shape[0], weight.shape[0], height, width)


class _Strided(nn.Module):
    """A strided convolution with "same" padding."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, features: Tensor) -> Tensor:
        """See `conv_same`."""
        found: Tensor = conv_same(features, self.conv.weight, self.conv.bias, self.conv.stride[0], self.conv.groups)
        return found


def replace(network: nn.Module) -> None:
    """Replace timm's convolutions with "same" padding, in place, by equal ones that can be exported.

    Those with equal strides and no dilation become one operator; of those without stride, the padding is always the
    same. Others stay.
    """
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.Conv2d) and type(child).__name__ == "Conv2dSame":
                strided = child.stride[0] == child.stride[1] > 1
                if strided and child.dilation == (1, 1):
                    setattr(parent, name, _Strided(child))
                elif child.stride == (1, 1) and all(side % 2 for side in child.kernel_size):
                    setattr(parent, name, _unstrided(child))


def _unstrided(conv: nn.Conv2d) -> nn.Conv2d:
    sides = zip(conv.kernel_size, conv.dilation, strict=True)
    height, width = ((side - 1) * dilation // 2 for side, dilation in sides)
    sizes = (conv.in_channels, conv.out_channels, (conv.kernel_size[0], conv.kernel_size[1]))
    options: dict[str, Any] = {"dilation": conv.dilation, "groups": conv.groups, "bias": conv.bias is not None}
    made = nn.Conv2d(*sizes, padding=(height, width), **options)
    made.weight, made.bias = conv.weight, conv.bias
    return made.eval()


def translations() -> dict[Any, Callable[..., Any]]:
    """What torch's exporter writes for `conv_same`."""
    from onnxscript import opset18

    def translated(features: Any, weight: Any, bias: Any = None, stride: int = 1, groups: int = 1) -> Any:
        strides = [stride, stride]
        return opset18.Conv(features, weight, bias, auto_pad="SAME_UPPER", strides=strides, group=groups)

    return {torch.ops.seglab.conv_same.default: translated}
