"""Scoring as a Lightning module: probabilities from a network go to a scorer."""

from collections.abc import Mapping, Sequence
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn

from src.data.transforms import ready
from src.models.backbones import Channels
from src.models.checkpoint.content import normalization
from src.models.deeplab import resize_logits
from src.models.inference import Inference, mapped, probabilities
from src.scoring.scorer import VariantScorer

Batch = Mapping[str, Any]  # a Sample, batched: image (B, 3, H, W), mask (B, H, W), rgb (B, H, W, 3), id


class ScoringTask(pl.LightningModule):
    """A network that is scored; it needs no loss, optimiser or schedule.

    Args:
        network: (B, 3, H, W) to logits (B, C, h, w) at its own resolution.
        classes: names of its C classes.
        mean: of the images that the network wants, per channel; a checkpoint that is filled in brings its own.
        std: their standard deviation.
        channels_last: memory format of network and images.

    Attributes:
        scorer: takes the probabilities.
        mapping: for each class of the network, that of the data, see `mapped`; None: they are the same.
    """

    def __init__(
        self, network: nn.Module, *, classes: Sequence[str], mean: Channels, std: Channels, channels_last: bool
    ) -> None:
        super().__init__()
        self.network = network
        self.in_layout(channels_last)
        self.classes = tuple(classes)
        self.mean, self.std = mean, std
        self.scorer: VariantScorer | None = None
        self.mapping: Sequence[int | None] | None = None

    def in_layout(self, channels_last: bool) -> None:
        """Change the memory format of the network's weights, and of its images from now on."""
        self.channels_last = channels_last
        layout = torch.channels_last if channels_last else torch.contiguous_format
        for weight in self.network.parameters():
            if weight.dim() == 4:
                weight.data = weight.data.contiguous(memory_format=layout)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, C, H, W) float32 at the size of `image` (B, 3, H, W)."""
        return resize_logits(self.network(image).float(), (image.shape[-2], image.shape[-1]))

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """When scoring, keep the batch on the host, too, because image and truth are read there."""
        moved = super().transfer_batch_to_device(batch, device, dataloader_idx)
        return {**moved, "host": batch} if self.trainer.testing else moved

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Make the network's input on the device, so that bytes are transferred, not floats."""
        return ready(batch, mean=self.mean, std=self.std, channels_last=self.channels_last)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Mean and standard deviation belong to the weights, so they come from the checkpoint, too."""
        self.mean, self.std = normalization(checkpoint["seglab"])

    def on_test_epoch_start(self) -> None:
        """Turn cuDNN's benchmark off: whole images differ in size."""
        torch.backends.cudnn.benchmark = False

    def on_predict_epoch_start(self) -> None:
        """Turn cuDNN's benchmark off: whole images differ in size."""
        torch.backends.cudnn.benchmark = False

    def test_step(self, batch: Batch, batch_index: int) -> None:
        """Give the scorer the images of a batch, with the probabilities that the variants need."""
        assert self.scorer is not None, "set task.scorer before testing"
        for i, image_id in enumerate(batch["id"]):
            image = batch["image"][i : i + 1]
            probs = {inference: self.look(image, inference) for inference in self.scorer.inferences}
            host = batch["host"]
            self.scorer.add(image_id, probs, host["rgb"][i].numpy(), host["mask"][i].long())

    def look(self, image: Tensor, inference: Inference) -> Tensor:
        """Probabilities (C, H, W) float32 of the data's classes, of a normalised image (1, 3, H, W) float32."""
        found = probabilities(self.network, image, inference)
        if self.mapping is None:
            return found
        assert self.scorer is not None
        return mapped(found, self.mapping, self.scorer.num_classes)

    def predict_step(self, batch: Batch, batch_index: int) -> dict[str, Any]:
        """The ids, and logits (B, C, h, w) float32 at the network's own resolution."""
        return {"id": batch["id"], "logits": self.network(batch["image"]).float()}

    def on_test_epoch_end(self) -> None:
        """Log `test/miou/VARIANT` and `test/pixel_accuracy/VARIANT`."""
        assert self.scorer is not None
        self.scorer.finish()
        for name, result in self.scorer.scores().items():
            self.log(f"test/miou/{name}", result.miou, sync_dist=True)  # already equal on all processes
            self.log(f"test/pixel_accuracy/{name}", result.pixel_accuracy, sync_dist=True)
