"""The operators in which the first steps of a training spend their time."""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback
from rich import get_console  # the progress bar's console, so that the bar makes room for the line


class OperatorTimes(Callback):
    """Profiles steps of the first trained epoch: a table of operators, and a trace for Perfetto or chrome://tracing.

    Args:
        folder: for `operators.txt` and `trace.json`; made when they are written.
    """

    def __init__(self, folder: Path, *, first: int = 3, last: int = 8) -> None:
        self.folder = folder
        self.first = first
        self.last = last
        self.done = False
        self.profiler: torch.profiler.profile | None = None

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Begin after kernels are chosen and caches are filled."""
        first = min(self.first, int(trainer.num_training_batches) - 1)
        if not self.done and batch_idx == first and trainer.is_global_zero:
            self.done = True
            self.profiler = torch.profiler.profile()
            self.profiler.start()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """End with the last of these steps, or earlier with the epoch or the training."""
        if self.profiler is None or not (batch_idx == self.last or trainer.is_last_batch or trainer.should_stop):
            return
        self.profiler.stop()
        self.folder.mkdir(parents=True, exist_ok=True)
        key = "self_cuda_time_total" if pl_module.device.type == "cuda" else "self_cpu_time_total"
        table = self.profiler.key_averages().table(sort_by=key, row_limit=30)
        (self.folder / "operators.txt").write_text(f"up to step {batch_idx} of the epoch\n{table}", encoding="utf-8")
        self.profiler.export_chrome_trace(str(self.folder / "trace.json"))
        get_console().print(
            f"profile     {self.folder}/operators.txt and trace.json", markup=False, highlight=False, soft_wrap=True
        )
        self.profiler = None
