"""Adaptive average pooling, whose cells depend on the size of an image, in an exported graph.

torch's tracer unrolls it for the size that it has seen. As a product with two matrices, made from the size when the
graph runs, it is right for every size.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch


def translations() -> dict[Any, Callable[..., Any]]:
    """What torch's exporter writes for adaptive pooling."""
    import onnx_ir as ir
    from onnxscript import opset18

    def numbers(values: Any) -> Any:
        return opset18.Constant(value=ir.tensor(np.asarray(values, np.int64)))

    def shares(side: Any, cells: int) -> Any:
        """(cells, side): cell i is the mean from floor(i side / cells) to ceil((i + 1) side / cells)."""
        cell, count = numbers([[k] for k in range(cells)]), numbers([[cells]])
        first = opset18.Div(opset18.Mul(cell, side), count)
        past = opset18.Mul(opset18.Add(cell, numbers([[1]])), side)
        last = opset18.Div(opset18.Add(past, numbers([[cells - 1]])), count)
        place = opset18.Range(numbers(0), opset18.Squeeze(side), numbers(1))
        inside = opset18.And(opset18.GreaterOrEqual(place, first), opset18.Less(place, last))
        weight = opset18.Cast(inside, to=ir.DataType.FLOAT)
        return opset18.Div(weight, opset18.ReduceSum(weight, numbers([1]), keepdims=1))

    def translated(features: Any, output_size: Sequence[int]) -> Any:
        height = opset18.Shape(features, start=2, end=3)
        width = opset18.Shape(features, start=3, end=4)
        rows, columns = shares(height, output_size[0]), shares(width, output_size[1])
        return opset18.MatMul(opset18.MatMul(rows, features), opset18.Transpose(columns, perm=[1, 0]))

    return {torch.ops.aten._adaptive_avg_pool2d.default: translated}
