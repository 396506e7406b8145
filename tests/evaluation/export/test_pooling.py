"""Adaptive pooling in an exported graph is torch's, for every size."""

import pytest
import torch
from torch import nn

pytest.importorskip("onnxscript", reason="needs onnxscript: pip install onnxscript")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs onnxruntime: pip install onnxruntime")

from src.evaluation.export.operators import pooling  # noqa: E402


def test_it_is_torchs_for_sizes_that_were_not_traced(tmp_path):
    size = torch.export.Dim.DYNAMIC
    torch.onnx.export(
        nn.AdaptiveAvgPool2d((6, 3)).eval(),
        (torch.rand(1, 2, 11, 9),),
        tmp_path / "pool.onnx",
        dynamo=True,
        opset_version=18,
        dynamic_shapes=({2: size, 3: size},),
        custom_translation_table=pooling.translations(),
        verbose=False,
    )
    session = onnxruntime.InferenceSession(str(tmp_path / "pool.onnx"))
    for height, width in ((6, 3), (7, 20), (31, 4), (13, 13)):
        features = torch.rand(1, 2, height, width)
        (found,) = session.run(None, {session.get_inputs()[0].name: features.numpy()})
        assert torch.allclose(torch.from_numpy(found), nn.AdaptiveAvgPool2d((6, 3))(features), atol=1e-6)
