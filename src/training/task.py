"""The LightningModule: what happens in a step, and its optimiser and schedule."""

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from src.evaluation.task import Batch, ScoringTask
from src.models.backbones import Channels
from src.models.batchnorm import average_buffers, freeze
from src.models.deeplab import resize_logits
from src.scoring.confusion import ConfusionMatrix
from src.scoring.fusion import most_probable
from src.scoring.metrics import scores
from src.training.callbacks.stopping import is_validated
from src.training.schedule import follow_recipe


class SegmentationTask(ScoringTask):
    """Trains a segmentation network; scoring is inherited.

    Args:
        network: (B, 3, H, W) to logits (B, C, h, w) at its own resolution.
        loss: (logits (B, C, H, W), target (B, H, W)) to {"loss": total, term: part, ...}.
        classes: names of the C classes.
        optimizer: takes parameter groups.
        scheduler: takes the optimiser and the number of its steps. A scheduler that waits for a plateau of `monitor`
            steps once per validation, others step with the optimiser. None: the rate is constant.
        monitor: the metric that decides which epoch is best; scheduler, checkpoint and early stopping all use it.
        new_layers_lr_factor: learning rate of the new layers, relative to that of the pretrained ones.
        pretrained: names of the pretrained parameters.
        mean: of the images that the network wants, per channel.
        std: their standard deviation.
        channels_last: memory format of network and images in training steps.
        whole_channels_last: the same for validation and scoring, whose images differ in size.
        compiled: run training steps through torch.compile; scoring never uses it, because its images differ in size.
        frozen_batchnorm: keep the statistics and parameters of pretrained BatchNorm unchanged.
        seed: the randomness of an epoch depends only on this and on the epoch's number, so a resumed run goes on as if
            it had not stopped.
        provenance: plain values to store in each checkpoint, from which it can be rebuilt and judged.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        loss: nn.Module,
        classes: tuple[str, ...],
        optimizer: Callable[..., torch.optim.Optimizer],
        scheduler: Callable[[torch.optim.Optimizer, int], Any] | None,
        monitor: str,
        new_layers_lr_factor: float,
        pretrained: frozenset[str],
        mean: Channels,
        std: Channels,
        channels_last: bool,
        whole_channels_last: bool,
        compiled: bool,
        frozen_batchnorm: bool,
        seed: int,
        provenance: Mapping[str, Any],
    ) -> None:
        super().__init__(network, classes=classes, mean=mean, std=std, channels_last=channels_last)
        self.layouts = {"train": channels_last, "whole": whole_channels_last}
        self.loss = loss
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.monitor = monitor
        self.new_layers_lr_factor = new_layers_lr_factor
        self.pretrained = pretrained
        self.frozen = freeze(network, pretrained) if frozen_batchnorm else frozenset()
        self._trained: list[Any] = [torch.compile(network) if compiled else network]  # a list: not a submodule
        self.seed = seed
        self.provenance = dict(provenance)
        self.recipe_before: Any = None  # of a resumed checkpoint, if the config has another one
        self.planned_steps = 0  # of all epochs; those before a resume may have had another number of steps
        self.val_confusion = ConfusionMatrix(len(classes))

    def on_train_start(self) -> None:
        """Use the config's rates and schedule if a resumed checkpoint has others; count the steps to make."""
        each = math.ceil(self.trainer.num_training_batches / self.trainer.accumulate_grad_batches)
        self.planned_steps = self.global_step + ((self.trainer.max_epochs or 0) - self.current_epoch) * each
        if self.recipe_before is not None:
            follow_recipe(self, self.recipe_before)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Seed an epoch's dropout with (seed, epoch, process), whatever happened before; keep frozen norms frozen.

        Not done in `on_train_epoch_start`, because Lightning skips it in the first epoch after a resume.
        """
        if batch_idx == 0:
            torch.manual_seed((self.seed * 10_007 + self.current_epoch) * 1_009 + self.global_rank)
            torch.backends.cudnn.benchmark = True  # all crops have the same size
            for name in self.frozen:
                self.network.get_submodule(name).eval()

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Loss of one batch; logs every term of the loss."""
        image = batch["image"]
        logits = resize_logits(self._trained[0](image).float(), (image.shape[-2], image.shape[-1]))
        losses = self.loss(logits, batch["mask"])
        self._log_losses("train", losses, batch_size=len(batch["image"]))
        total: Tensor = losses["loss"]
        return total

    def on_validation_epoch_start(self) -> None:
        """Give all processes the same running statistics: on CPUs, each process has its own."""
        torch.backends.cudnn.benchmark = False
        self.in_layout(self.layouts["whole"])
        average_buffers(self.network)

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Loss and confusion of whole images; both stay on the device, so that it never waits."""
        logits = self(batch["image"])
        self._log_losses("val", self.loss(logits, batch["mask"]), batch_size=len(batch["image"]))
        self.val_confusion.update(most_probable(logits), batch["mask"])

    def on_validation_epoch_end(self) -> None:
        """Scores of the validation set, from one confusion matrix over the images of all processes."""
        result = scores(self.val_confusion.compute().cpu().numpy())
        self.val_confusion.reset()
        self.in_layout(self.layouts["train"])
        self.log("val/miou", result.miou, prog_bar=True, sync_dist=True)  # already equal on all processes
        self.log("val/pixel_accuracy", result.pixel_accuracy, sync_dist=True)

    def on_test_epoch_start(self) -> None:
        """As for scoring alone, in the memory format for whole images."""
        super().on_test_epoch_start()
        self.in_layout(self.layouts["whole"])

    def on_predict_epoch_start(self) -> None:
        """As for scoring alone, in the memory format for whole images."""
        super().on_predict_epoch_start()
        self.in_layout(self.layouts["whole"])

    def on_train_epoch_end(self) -> None:
        """Step the plateau scheduler here, before the checkpoint is written: the checkpoint must hold its state."""
        average_buffers(self.network)  # a checkpoint holds the buffers of the first process
        lr = self.trainer.optimizers[0].param_groups[0]["lr"]  # before a plateau lowers it
        self.log("train/lr", lr, sync_dist=True)  # equal on all processes
        scheduler = self.lr_schedulers()
        if isinstance(scheduler, ReduceLROnPlateau) and is_validated(self.trainer):
            scheduler.step(self.trainer.callback_metrics[self.monitor].item())

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        """Step only with the optimiser; `on_train_epoch_end` handles the plateau scheduler."""
        if not isinstance(scheduler, ReduceLROnPlateau):
            scheduler.step()

    def parameter_groups(self) -> list[list[nn.Parameter]]:
        """The parameters as the optimiser gets them: pretrained layers, then new ones; groups without any left out."""
        groups: dict[bool, list[nn.Parameter]] = {True: [], False: []}
        for name, parameter in self.network.named_parameters():
            groups[name in self.pretrained or not self.pretrained].append(parameter)
        return [group for group in groups.values() if group]

    def make_optimizer(self) -> tuple[torch.optim.Optimizer, Any]:
        """Optimiser and scheduler, or None, at the first step of a training.

        Two parameter groups, pretrained and new layers; if nothing is pretrained, all learn at the base rate.
        """
        groups = self.parameter_groups()
        optimizer = self.optimizer([{"params": group} for group in groups])
        if len(groups) > 1:
            optimizer.param_groups[1]["lr"] *= self.new_layers_lr_factor
        if self.scheduler is None:
            return optimizer, None
        return optimizer, self.scheduler(optimizer, self.steps_per_epoch() * (self.trainer.max_epochs or 1))

    def steps_per_epoch(self) -> int:
        """Steps of the optimiser in an epoch."""
        # Not `estimated_stepping_batches`: it would make the first epoch's iterator before a resume has set the epoch.
        batches = len(self.trainer.datamodule.train_dataloader())  # type: ignore[attr-defined]
        return math.ceil(batches / self.trainer.accumulate_grad_batches)

    def configure_optimizers(self) -> Any:
        """See `make_optimizer`; also says when the scheduler steps."""
        optimizer, scheduler = self.make_optimizer()
        if scheduler is None:
            return optimizer
        if not isinstance(scheduler, ReduceLROnPlateau):
            return [optimizer], [{"scheduler": scheduler, "interval": "step"}]
        when = {"interval": "epoch", "frequency": self.trainer.check_val_every_n_epoch or 1, "strict": False}
        return [optimizer], [{"scheduler": scheduler, "monitor": self.monitor, **when}]

    def configure_gradient_clipping(
        self, optimizer: Any, gradient_clip_val: float | None = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        """Clip the norm of the whole gradient; Lightning's own refuses fused optimisers, even without scaling."""
        if gradient_clip_val is not None:
            nn.utils.clip_grad_norm_(self.parameters(), gradient_clip_val)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what rebuilds the network, as plain dicts, so that `weights_only=True` can read them.

        And this epoch's values of the training: a kill may come before they are in `metrics.csv`.
        """
        checkpoint["seglab"] = {**self.provenance, "normalization": {"mean": list(self.mean), "std": list(self.std)}}
        found = self.trainer.callback_metrics.items()
        checkpoint["metrics"] = {key: value.item() for key, value in found if key.startswith(("train/", "time/"))}

    def _log_losses(self, stage: str, losses: Mapping[str, Tensor], *, batch_size: int) -> None:
        for term, value in losses.items():
            key = f"{stage}/loss" if term == "loss" else f"{stage}/loss/{term}"
            shown = term == "loss"
            self.log(key, value, on_step=False, on_epoch=True, batch_size=batch_size, prog_bar=shown, sync_dist=True)


def mode_of(monitor: str) -> Literal["min", "max"]:
    """Losses are better when smaller, scores when larger."""
    return "min" if "loss" in monitor else "max"
