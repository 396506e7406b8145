"""An average of the weights: it follows the weights, and it is validated, kept and scored in their place."""

from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import WeightAveraging
from lightning.pytorch.trainer.states import TrainerFn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from src.models.batchnorm import average_buffers


class AverageWeights(WeightAveraging):
    """Validates, keeps and scores an exponential average of the weights; every step updates it."""

    def __init__(self, decay: float) -> None:
        super().__init__(multi_avg_fn=get_ema_multi_avg_fn(decay))  # type: ignore[no-untyped-call]

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Bring the average to the network's device; otherwise all weights would go to the host in every step.

        Lightning makes the average before it moves the network to a GPU.
        """
        assert self._average_model is not None
        self._average_model.to(pl_module.device)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """See Lightning; makes the average's buffers equal, because a checkpoint holds those of the first process."""
        super().on_train_epoch_end(trainer, pl_module)
        assert self._average_model is not None
        average_buffers(self._average_model)

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Resume weights and average. Scoring needs only the average, stored as the checkpoint's weights."""
        if trainer.state.fn == TrainerFn.FITTING:
            super().on_load_checkpoint(trainer, pl_module, checkpoint)
