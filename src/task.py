"""The LightningModule: what happens in a step, and which optimiser and schedule drive it."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torchmetrics.classification import MulticlassConfusionMatrix

from src.data.voc import VOID
from src.fusion import most_probable
from src.models.deeplab import resize_logits
from src.scoring import scores
from src.variants import VariantScorer

Batch = Mapping[str, Any]  # a Sample, batched: image (B, 3, H, W), mask (B, H, W), rgb (B, H, W, 3), id


class SegmentationTask(pl.LightningModule):
    """Trains a segmentation network and scores it.

    Args:
        network: (B, 3, H, W) to logits (B, C, h, w) at its own resolution.
        loss: (logits (B, C, H, W), target (B, H, W)) to {"loss": total, term: part, ...}.
        classes: names of the C classes.
        optimizer: takes parameter groups.
        scheduler: takes the optimiser, and `mode` (plateau) or `total_iters` (step).
        schedule: when the scheduler steps: on a plateau of `monitor`, once per optimiser step, or never.
        monitor: the metric that decides what is best; read by scheduler, checkpoint and early stopping alike.
        new_layers_lr_factor: learning rate of the layers that are not pretrained against those that are.
        pretrained: names of the pretrained parameters.
        seed: randomness of an epoch depends on this and on the epoch's number alone, so that a resumed run goes on
            as if it had not stopped.
        provenance: plain values stored in each checkpoint, from which it can be rebuilt and judged.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        loss: nn.Module,
        classes: tuple[str, ...],
        optimizer: Callable[..., torch.optim.Optimizer],
        scheduler: Callable[..., Any] | None,
        schedule: Literal["plateau", "step", "constant"],
        monitor: str,
        new_layers_lr_factor: float,
        pretrained: frozenset[str],
        seed: int,
        provenance: Mapping[str, Any],
    ) -> None:
        super().__init__()
        self.network = network
        self.loss = loss
        self.classes = classes
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.schedule = schedule
        self.monitor = monitor
        self.new_layers_lr_factor = new_layers_lr_factor
        self.pretrained = pretrained
        self.seed = seed
        self.provenance = dict(provenance)
        self.scorer: VariantScorer | None = None
        self.val_confusion = MulticlassConfusionMatrix(len(classes), ignore_index=VOID, validate_args=False)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, C, H, W) float32 at the size of `image` (B, 3, H, W)."""
        return resize_logits(self.network(image).float(), (image.shape[-2], image.shape[-1]))

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Draw an epoch's dropout from (seed, epoch), not from what happened before.

        Not in `on_train_epoch_start`, which Lightning leaves out in the first epoch after a resume.
        """
        if batch_idx == 0:
            torch.manual_seed(self.seed * 10_007 + self.current_epoch)

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Loss of one batch; every term of it is logged."""
        losses = self.loss(self(batch["image"]), batch["mask"])
        self._log_losses("train", losses, batch_size=len(batch["image"]))
        total: Tensor = losses["loss"]
        return total

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Loss and confusion of whole images."""
        logits = self(batch["image"])
        self._log_losses("val", self.loss(logits, batch["mask"]), batch_size=len(batch["image"]))
        self.val_confusion.update(most_probable(logits), batch["mask"])

    def on_validation_epoch_end(self) -> None:
        """Scores of the validation set, from one confusion matrix over all of it."""
        result = scores(self.val_confusion.compute().cpu().numpy())
        self.val_confusion.reset()
        self.log("val/miou", result.miou, prog_bar=True)
        self.log("val/pixel_accuracy", result.pixel_accuracy)

    def on_train_epoch_end(self) -> None:
        """Step the plateau scheduler here: before the checkpoint is written, which must hold its state."""
        validated = (self.current_epoch + 1) % (self.trainer.check_val_every_n_epoch or 1) == 0
        if self.schedule == "plateau" and validated:
            scheduler = self.lr_schedulers()
            assert isinstance(scheduler, ReduceLROnPlateau)
            scheduler.step(self.trainer.callback_metrics[self.monitor].item())

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        """Step per optimiser step only; see `on_train_epoch_end` for the plateau."""
        if self.schedule == "step":
            scheduler.step()

    def test_step(self, batch: Batch, batch_index: int) -> None:
        """Hand the images of a batch, with their logits, to the scorer of variants."""
        assert self.scorer is not None, "set task.scorer before testing"
        for image_id, logits, rgb, target in zip(
            batch["id"], self(batch["image"]), batch["rgb"], batch["mask"], strict=True
        ):
            self.scorer.add(image_id, logits, rgb.cpu().numpy(), target)

    def predict_step(self, batch: Batch, batch_index: int) -> dict[str, Any]:
        """Ids, and logits (B, C, h, w) float32 at the network's own resolution."""
        return {"id": batch["id"], "logits": self.network(batch["image"]).float()}

    def on_test_epoch_end(self) -> None:
        """Log `test/miou/VARIANT` and `test/pixel_accuracy/VARIANT`."""
        assert self.scorer is not None
        self.scorer.finish()
        for name, result in self.scorer.scores().items():
            self.log(f"test/miou/{name}", result.miou)
            self.log(f"test/pixel_accuracy/{name}", result.pixel_accuracy)

    def configure_optimizers(self) -> Any:
        """Two groups, pretrained and new layers; where nothing is pretrained all learn at the base rate."""
        groups: dict[bool, list[nn.Parameter]] = {True: [], False: []}
        for name, parameter in self.network.named_parameters():
            groups[name in self.pretrained or not self.pretrained].append(parameter)
        optimizer = self.optimizer([{"params": group} for group in groups.values() if group])
        if groups[True] and groups[False]:
            optimizer.param_groups[1]["lr"] *= self.new_layers_lr_factor
        if self.scheduler is None:
            return optimizer
        if self.schedule == "step":
            # Not `estimated_stepping_batches`: it makes the first epoch's iterator, before a resume has set the epoch.
            steps = len(self.trainer.datamodule.train_dataloader()) * (self.trainer.max_epochs or 1)  # type: ignore[attr-defined]
            return [optimizer], [{"scheduler": self.scheduler(optimizer, total_iters=steps), "interval": "step"}]
        scheduler = self.scheduler(optimizer, mode=mode_of(self.monitor))
        return [optimizer], [{"scheduler": scheduler, "interval": "epoch", "monitor": self.monitor, "strict": False}]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what rebuilds the network: plain dicts, so that `weights_only=True` reads them."""
        checkpoint["seglab"] = self.provenance

    def _log_losses(self, stage: str, losses: Mapping[str, Tensor], *, batch_size: int) -> None:
        for term, value in losses.items():
            key = f"{stage}/loss" if term == "loss" else f"{stage}/loss/{term}"
            self.log(key, value, on_step=False, on_epoch=True, batch_size=batch_size, prog_bar=term == "loss")


def mode_of(monitor: str) -> Literal["min", "max"]:
    """Losses are better when smaller, scores when larger."""
    return "min" if "loss" in monitor else "max"
