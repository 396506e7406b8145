"""Scoring of kept logits in the place of a network, as a Lightning module."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor

from src.core.errors import InputError
from src.data.datamodule import SegmentationDataModule
from src.evaluation.scoring.logits import read_resized
from src.models.inference import PLAIN, Inference, mapped
from src.scoring.scorer import VariantScorer


class LogitsTask(pl.LightningModule):
    """Takes the place of a network in the Trainer's test: gives probabilities from files to a scorer.

    Args:
        folder: holds an `ID.npz` per image; the logits are resized to the image's size with `align_corners=False`.
        scorer: its variants look at an image only once.
        classes: names of the network's classes.
        mapping: as for `ScoringTask`.

    Raises:
        InputError: a variant needs more than one look at an image.
    """

    def __init__(
        self,
        folder: Path,
        scorer: VariantScorer,
        classes: Sequence[str],
        mapping: Sequence[int | None] | None = None,
    ) -> None:
        super().__init__()
        needy = [name for name, variant in scorer.variants.items() if variant.inference != PLAIN]
        if needy:
            raise InputError(
                f"variants {', '.join(needy)}: scales, flips and windows need the network, and {folder} holds the "
                "logits of one pass; score run=FOLDER or checkpoint=PATH without keep_logits."
            )
        self.folder, self.scorer, self.classes, self.mapping = folder, scorer, tuple(classes), mapping

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Images and truth stay on the host."""
        return batch

    def test_step(self, batch: Mapping[str, Any], batch_index: int) -> None:
        """Read the logits of one image and give them to the scorer."""
        (image_id,) = batch["id"]
        target = batch["mask"][0].long()
        origin = self.trainer.datamodule.origin(image_id)  # type: ignore[attr-defined]
        self.scorer.add(image_id, {PLAIN: self.read(image_id, target, origin)}, batch["rgb"][0].numpy(), target)

    def read(self, image_id: str, target: Tensor, origin: str) -> Tensor:
        """Probabilities (C, H, W) of the data's classes, of the size of the truth (H, W); `origin`: of the image."""
        probs = read_resized(self.folder, image_id, target, self.classes, origin).softmax(0)
        return probs if self.mapping is None else mapped(probs, self.mapping, self.scorer.num_classes)

    def look(self, data: SegmentationDataModule, sample: Mapping[str, Any], inference: Inference) -> Tensor:
        """The same for a sample of `data`; there is only one kind of inference."""
        return self.read(sample["id"], sample["mask"].long(), data.origin(sample["id"]))

    def on_test_epoch_end(self) -> None:
        """Gather the scores of all processes."""
        self.scorer.finish()
