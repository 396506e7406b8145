"""The LightningModule: what happens in a step, and which optimiser and schedule drive it."""

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torchmetrics.classification import MulticlassConfusionMatrix

from src.data.transforms import ready
from src.data.voc import VOID
from src.endings import is_validated
from src.errors import InputError
from src.fusion import most_probable
from src.inference import probabilities
from src.models.deeplab import resize_logits
from src.norms import average_buffers, freeze
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
        channels_last: memory format of the images.
        compiled: run training steps through torch.compile; scoring, whose images differ in size, never is.
        frozen_batchnorm: leave pretrained BatchNorm as it came, statistics and parameters.
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
        channels_last: bool,
        compiled: bool,
        frozen_batchnorm: bool,
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
        self.channels_last = channels_last
        self.frozen = freeze(network, pretrained) if frozen_batchnorm else frozenset()
        self._trained: list[Any] = [torch.compile(network) if compiled else network]  # in a list: not another submodule
        self.seed = seed
        self.provenance = dict(provenance)
        self.scorer: VariantScorer | None = None
        self.val_confusion = MulticlassConfusionMatrix(len(classes), ignore_index=VOID, validate_args=False)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, C, H, W) float32 at the size of `image` (B, 3, H, W)."""
        return resize_logits(self.network(image).float(), (image.shape[-2], image.shape[-1]))

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Keep what came beside what is moved where it is scored, which wants image and truth on the host."""
        moved = super().transfer_batch_to_device(batch, device, dataloader_idx)
        return {**moved, "host": batch} if self.trainer.testing else moved

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Make the network's input where the batch lies: bytes travel, not floats."""
        return ready(batch, channels_last=self.channels_last)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Draw an epoch's dropout from (seed, epoch, process), not from what happened before; keep frozen norms so.

        Not in `on_train_epoch_start`, which Lightning leaves out in the first epoch after a resume.
        """
        if batch_idx == 0:
            torch.manual_seed((self.seed * 10_007 + self.current_epoch) * 1_009 + self.global_rank)
            torch.backends.cudnn.benchmark = True  # crops are all of one size, images that are scored are not
            for name in self.frozen:
                self.network.get_submodule(name).eval()

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Loss of one batch; every term of it is logged."""
        image = batch["image"]
        logits = resize_logits(self._trained[0](image).float(), (image.shape[-2], image.shape[-1]))
        losses = self.loss(logits, batch["mask"])
        self._log_losses("train", losses, batch_size=len(batch["image"]))
        total: Tensor = losses["loss"]
        return total

    def on_validation_epoch_start(self) -> None:
        """Give all processes the same running statistics: on CPUs each has gathered its own."""
        torch.backends.cudnn.benchmark = False
        average_buffers(self.network)

    def on_test_epoch_start(self) -> None:
        """Whole images have sizes of their own."""
        torch.backends.cudnn.benchmark = False

    def on_predict_epoch_start(self) -> None:
        """Whole images have sizes of their own."""
        torch.backends.cudnn.benchmark = False

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Loss and confusion of whole images."""
        logits = self(batch["image"])
        self._log_losses("val", self.loss(logits, batch["mask"]), batch_size=len(batch["image"]))
        self.val_confusion.update(most_probable(logits), batch["mask"])

    def on_validation_epoch_end(self) -> None:
        """Scores of the validation set, from one confusion matrix over all of it."""
        result = scores(self.val_confusion.compute().cpu().numpy())
        self.val_confusion.reset()
        self.log("val/miou", result.miou, prog_bar=True, sync_dist=True)  # equal on all processes already
        self.log("val/pixel_accuracy", result.pixel_accuracy, sync_dist=True)

    def on_train_epoch_end(self) -> None:
        """Step the plateau scheduler here: before the checkpoint is written, which must hold its state."""
        average_buffers(self.network)  # a checkpoint holds those of the first process
        if self.schedule == "plateau" and is_validated(self.trainer):
            scheduler = self.lr_schedulers()
            assert isinstance(scheduler, ReduceLROnPlateau)
            scheduler.step(self.trainer.callback_metrics[self.monitor].item())

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        """Step per optimiser step only; see `on_train_epoch_end` for the plateau."""
        if self.schedule == "step":
            scheduler.step()

    def test_step(self, batch: Batch, batch_index: int) -> None:
        """Hand the images of a batch, with the probabilities that the variants need, to their scorer."""
        assert self.scorer is not None, "set task.scorer before testing"
        for i, image_id in enumerate(batch["id"]):
            image = batch["image"][i : i + 1]
            probs = {looks: probabilities(self.network, image, looks) for looks in self.scorer.inferences}
            host = batch["host"]
            self.scorer.add(image_id, probs, host["rgb"][i].numpy(), host["mask"][i].long())

    def predict_step(self, batch: Batch, batch_index: int) -> dict[str, Any]:
        """Ids, and logits (B, C, h, w) float32 at the network's own resolution."""
        return {"id": batch["id"], "logits": self.network(batch["image"]).float()}

    def on_test_epoch_end(self) -> None:
        """Log `test/miou/VARIANT` and `test/pixel_accuracy/VARIANT`."""
        assert self.scorer is not None
        self.scorer.finish()
        for name, result in self.scorer.scores().items():
            self.log(f"test/miou/{name}", result.miou, sync_dist=True)  # equal on all processes already
            self.log(f"test/pixel_accuracy/{name}", result.pixel_accuracy, sync_dist=True)

    def configure_optimizers(self) -> Any:
        """Two groups, pretrained and new layers; where nothing is pretrained all learn at the base rate."""
        groups: dict[bool, list[nn.Parameter]] = {True: [], False: []}
        for name, parameter in self.network.named_parameters():
            groups[name in self.pretrained or not self.pretrained].append(parameter)
        optimizer = _made("optimizer", self.optimizer, [{"params": group} for group in groups.values() if group])
        if groups[True] and groups[False]:
            optimizer.param_groups[1]["lr"] *= self.new_layers_lr_factor
        if self.scheduler is None:
            return optimizer
        if self.schedule == "step":
            # Not `estimated_stepping_batches`: it makes the first epoch's iterator, before a resume has set the epoch.
            batches = len(self.trainer.datamodule.train_dataloader())  # type: ignore[attr-defined]
            steps = math.ceil(batches / self.trainer.accumulate_grad_batches) * (self.trainer.max_epochs or 1)
            return [optimizer], [
                {"scheduler": _made("scheduler", self.scheduler, optimizer, total_iters=steps), "interval": "step"}
            ]
        when = {"interval": "epoch", "frequency": self.trainer.check_val_every_n_epoch or 1, "strict": False}
        scheduler = _made("scheduler", self.scheduler, optimizer, mode=mode_of(self.monitor))
        return [optimizer], [{"scheduler": scheduler, "monitor": self.monitor, **when}]

    def configure_gradient_clipping(
        self, optimizer: Any, gradient_clip_val: float | None = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        """Clip the norm of the whole gradient; Lightning refuses fused optimisers even where nothing is scaled."""
        if gradient_clip_val is not None:
            nn.utils.clip_grad_norm_(self.parameters(), gradient_clip_val)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what rebuilds the network: plain dicts, so that `weights_only=True` reads them."""
        checkpoint["seglab"] = self.provenance

    def _log_losses(self, stage: str, losses: Mapping[str, Tensor], *, batch_size: int) -> None:
        for term, value in losses.items():
            key = f"{stage}/loss" if term == "loss" else f"{stage}/loss/{term}"
            shown = term == "loss"
            self.log(key, value, on_step=False, on_epoch=True, batch_size=batch_size, prog_bar=shown, sync_dist=True)


def _made(key: str, make: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """What torch makes of a part of the recipe; raises InputError with its words if that is nothing."""
    try:
        return make(*arguments, **options)
    except (TypeError, ValueError) as error:
        raise InputError(f"recipe.{key}: {error}.") from error


def mode_of(monitor: str) -> Literal["min", "max"]:
    """Losses are better when smaller, scores when larger."""
    return "min" if "loss" in monitor else "max"
