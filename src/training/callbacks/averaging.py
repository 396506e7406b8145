"""An average of the weights that follows them, and is what is validated, kept and scored."""

from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import WeightAveraging
from lightning.pytorch.trainer.states import TrainerFn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from src.models.batchnorm import average_buffers


class AverageWeights(WeightAveraging):
    """Validates, keeps and scores an exponential average of the weights, which follows them step by step."""

    def __init__(self, decay: float) -> None:
        super().__init__(multi_avg_fn=get_ema_multi_avg_fn(decay))  # type: ignore[no-untyped-call]

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """See Lightning; a checkpoint holds the average's buffers of the first process, as those of the network."""
        super().on_train_epoch_end(trainer, pl_module)
        assert self._average_model is not None
        average_buffers(self._average_model)

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """A training goes on with both; scored is the average, which is what the checkpoint holds as the weights."""
        if trainer.state.fn == TrainerFn.FITTING:
            super().on_load_checkpoint(trainer, pl_module, checkpoint)
