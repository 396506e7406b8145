"""Scoring of a network in an ONNX file, as a Lightning module."""

from collections.abc import Mapping, Sequence
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor

from src.core.errors import InputError
from src.models.inference import PLAIN, Inference, mapped, probabilities
from src.models.sources.onnx import OnnxNetwork
from src.scoring.scorer import VariantScorer

_LEAST = 1e-38  # probability whose logarithm is finite


class OnnxTask(pl.LightningModule):
    """Takes the place of a network in the Trainer's test: gives probabilities from an ONNX file to a scorer.

    Args:
        network: of the file.
        scorer: takes the probabilities; its variants may look at an image several times.
        classes: number of the network's classes.
        mapping: as for `ScoringTask`.
    """

    def __init__(
        self, network: OnnxNetwork, scorer: VariantScorer, classes: int, mapping: Sequence[int | None] | None = None
    ) -> None:
        super().__init__()
        self.onnx, self.scorer, self.classes, self.mapping = network, scorer, classes, mapping

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Images and truth stay on the host."""
        return batch

    def test_step(self, batch: Mapping[str, Any], batch_index: int) -> None:
        """Run the file on one image and give its probabilities to the scorer."""
        (image_id,) = batch["id"]
        sample = {"rgb": batch["rgb"][0]}
        probs = {inference: self.look(sample, inference) for inference in self.scorer.inferences}
        self.scorer.add(image_id, probs, sample["rgb"].numpy(), batch["mask"][0].long())

    def look(self, sample: Mapping[str, Any], inference: Inference) -> Tensor:
        """Probabilities (C, H, W) of the data's classes, of a sample with rgb (H, W, 3) uint8."""
        probs = self._probabilities(sample["rgb"][None], inference)
        return probs if self.mapping is None else mapped(probs, self.mapping, self.scorer.num_classes)

    def _probabilities(self, rgb: Tensor, looks: Inference) -> Tensor:
        """Probabilities (C, H, W) of an image (1, H, W, 3) uint8.

        A scaled image is rounded to whole numbers, because the file takes bytes.
        """
        if looks == PLAIN:
            return self._run(rgb)[0]
        pixels = rgb.permute(0, 3, 1, 2).float()
        return probabilities(lambda image: self._run(_bytes(image)).clamp_min(_LEAST).log(), pixels, looks)

    def _run(self, rgb: Tensor) -> Tensor:
        probs = torch.from_numpy(self.onnx(rgb.numpy())[1])
        if probs.shape[1] != self.classes:
            raise InputError(f"{self.onnx.path}: has {probs.shape[1]} classes, and the data has {self.classes}.")
        return probs

    def on_test_epoch_end(self) -> None:
        """Gather the scores of all processes."""
        self.scorer.finish()


def _bytes(image: Tensor) -> Tensor:
    """(1, 3, H, W) float in 0..255 to (1, H, W, 3) uint8."""
    return image.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
