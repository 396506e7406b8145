"""A network as one ONNX graph: bytes in, labels and probabilities out, for images of any size."""

import copy
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from src.core.errors import InputError
from src.data.classes import label_type
from src.models.backbones import Channels
from src.models.deeplab import DeepLab, resize_logits
from src.models.sources.onnx import INPUT, OUTPUTS

OPSET = 18
_TRACED = (2, 289, 257, 3)  # shape of the image that it is traced with; sizes that no stride divides, enough for PAN
_LARGEST = 2**31  # bytes; beyond, a file would need others beside it


class Standalone(nn.Module):
    """What scoring does to one image, as a module: normalise, network, resize to the image, softmax, argmax.

    Args:
        network: (B, 3, H, W) to logits (B, C, h, w) at its own resolution.
        mean: of the images that the network wants, per channel, for pixels in 0..1.
        std: their standard deviation.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: DeepLab, *, mean: Channels, std: Channels) -> None:
        super().__init__()
        self.network = network
        self.label_type = torch.uint8 if label_type(network.num_classes)().itemsize == 1 else torch.int32
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """(B, H, W, 3) uint8 to labels (B, H, W) and probabilities (B, C, H, W) float32."""
        pixels = image.permute(0, 3, 1, 2).to(torch.float32).mul(1 / 255).sub(self.mean).div(self.std)
        logits = resize_logits(self.network(pixels).float(), (image.shape[1], image.shape[2]))
        probs = logits.softmax(1)
        return probs.argmax(1).to(self.label_type), probs


def standalone(network: DeepLab, *, mean: Channels, std: Channels) -> Standalone:
    """A copy of a network that can be exported; the network itself stays as it is."""
    own = copy.deepcopy(network).cpu().float().to(memory_format=torch.contiguous_format).eval().requires_grad_(False)
    for module in own.modules():
        if hasattr(module, "inplace"):
            module.inplace = False  # type: ignore[assignment]  # traced in a third of the time
    return Standalone(own, mean=mean, std=std).eval()


def write_graph(network: Standalone, path: Path) -> None:
    """Write a network as an ONNX file with a dynamic batch, height and width.

    Raises:
        InputError: torch cannot export this network, or it is too large for one file.
    """
    from src.evaluation.export.operators import pooling, same_padding

    same_padding.replace(network)
    image = torch.randint(0, 256, _TRACED, dtype=torch.uint8)
    size = torch.export.Dim.DYNAMIC
    with _hushed():
        try:
            program: Any = torch.onnx.export(
                network,
                (image,),
                dynamo=True,
                opset_version=OPSET,
                input_names=[INPUT],
                output_names=list(OUTPUTS),
                dynamic_shapes={INPUT: {0: size, 1: size, 2: size}},
                custom_translation_table=same_padding.translations() | pooling.translations(),
                verbose=False,
            )
            _name_sizes(program)
            program.save(path)
        except Exception as error:  # of torch's tracer, of its exporter, of onnx: each has classes of its own
            reason = " ".join(str(error.__cause__ or error).split())[:300]
            raise InputError(
                f"format=onnx: torch {torch.__version__} cannot export {network.network.backbone.model} with this head "
                f"({reason}); format=folder takes every network."
            ) from error
    if path.stat().st_size > _LARGEST or path.with_name(f"{path.name}.data").exists():
        raise InputError(f"{path}: is larger than 2 GB, which does not fit in one file; use format=folder.")


def _name_sizes(program: Any) -> None:
    """Name the dynamic sizes, which torch calls s0, s1, ..., for those who look at the file."""
    graph = program.model.graph
    import onnx_ir as ir

    names = ("batch", "height", "width")
    graph.inputs[0].shape = ir.Shape([*names, 3])
    labels, probs = graph.outputs
    labels.shape, probs.shape = ir.Shape([*names]), ir.Shape(["batch", probs.shape[1], "height", "width"])


@contextmanager
def _hushed() -> Iterator[None]:
    """A block in which torch's exporter tells no news of itself."""
    logger = logging.getLogger("torch")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
