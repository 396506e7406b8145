"""Where a run logs: to `metrics.csv`, one row per epoch, complete after every epoch, and to W&B if chosen."""

import csv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities import rank_zero_only
from omegaconf import DictConfig

from src.core.command.entry import is_main
from src.core.errors import InputError
from src.core.files.whole import replacing
from src.runs.folder import RunFolder


@contextmanager
def loggers(config: DictConfig, folder: RunFolder) -> Iterator[list[Logger]]:
    """`metrics.csv` always, W&B if chosen; the W&B run is always finished, however the block ends."""
    found: list[Logger] = [MetricsFile(folder.metrics)]
    if config.logger.name != "wandb" or not is_main(config):
        yield found
        return
    from src.runs.wandb_run import dashboard_run  # imported here: it is slow to import

    with dashboard_run(config, folder) as run:
        yield [*found, WandbLogger(experiment=run)]


class MetricsFile(Logger):
    """A Lightning logger that puts the metrics of an epoch into one row.

    Lightning's own CSVLogger deletes the earlier rows when a training is resumed. This one keeps them, except those of
    epochs that are run again.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.rows: dict[int, dict[str, str]] = _read(path)
        self._fresh: set[int] = set()  # epochs that this process has logged

    @property
    def name(self) -> str:
        """Name of the logger."""
        return "csv"

    @property
    def version(self) -> str:
        """There is only one file."""
        return ""

    @rank_zero_only
    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """The config has a file of its own."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Add metrics to the row of the epoch that they name; test metrics belong in results.json."""
        kept = {key: repr(float(v)) for key, v in metrics.items() if key != "epoch" and not key.startswith("test/")}
        if "epoch" not in metrics or not kept:
            return
        epoch = int(metrics["epoch"])
        if epoch not in self._fresh:
            self.rows = {number: row for number, row in self.rows.items() if number < epoch}
            self.rows[epoch] = {"epoch": str(epoch)}
            self._fresh.add(epoch)
        self.rows[epoch].update(kept, step=str(step))

    def complete(self, epoch: int, step: int, values: Mapping[str, Any]) -> None:
        """Add to the row of an epoch what it lacks, and write the file; a kill may have come before it was logged."""
        row = self.rows.setdefault(epoch, {"epoch": str(epoch), "step": str(step)})
        if missing := {key: repr(float(value)) for key, value in values.items() if key not in row}:
            row.update(missing, step=str(step))
            self.save()

    @rank_zero_only
    def save(self) -> None:
        """Write all rows; the file appears complete."""
        columns = sorted({key for row in self.rows.values() for key in row} - {"epoch", "step"})
        with replacing(self.path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, ["epoch", "step", *columns])
            writer.writeheader()
            writer.writerows(self.rows.values())

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Write what is left."""
        if self.rows:
            self.save()


def _read(path: Path) -> dict[int, dict[str, str]]:
    if not path.exists():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        try:
            return {int(row["epoch"]): {k: v for k, v in row.items() if v} for row in csv.DictReader(file)}
        except (KeyError, ValueError) as error:
            raise InputError(f"{path} is not a metrics file of this project ({error}); move it away.") from error
