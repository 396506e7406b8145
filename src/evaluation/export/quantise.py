"""Eight bits in the place of 32: onnxruntime's static quantisation of the convolutions, with training images."""

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from src.core.errors import InputError
from src.data.datamodule import SegmentationDataModule
from src.models.sources.onnx import INPUT


def quantise(source: Path, target: Path, data: SegmentationDataModule, ids: Sequence[str]) -> None:
    """Write an ONNX file whose convolutions compute with whole numbers of eight bits.

    Weights have a scale per output channel, features one per tensor: the range that they have on the images.

    Args:
        source: the file in float32.
        target: the file to write.
        data: gives the images.
        ids: of images that are not scored.

    Raises:
        InputError: onnxruntime cannot quantise this network.
    """
    from onnxruntime import quantization

    samples = data.samples(ids)

    class Images(quantization.CalibrationDataReader):  # type: ignore[misc]  # without types
        """Hands the images over one by one."""

        def __init__(self) -> None:
            self.left = iter(range(len(ids)))

        def get_next(self) -> dict[str, Any] | None:
            """The next input of the network; None after the last one."""
            number = next(self.left, None)
            return None if number is None else {INPUT: np.asarray(samples[number]["rgb"])[None]}

    logger = logging.getLogger()
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            quantization.quantize_static(
                str(source),
                str(target),
                Images(),
                quant_format=quantization.QuantFormat.QDQ,
                op_types_to_quantize=["Conv"],
                per_channel=True,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
            )
    except Exception as error:  # of onnx and onnxruntime: each has classes of its own
        reason = " ".join(str(error).split())[:300]
        raise InputError(f"int8=true: onnxruntime cannot quantise this network ({reason}); leave it out.") from error
    finally:
        logger.setLevel(before)
