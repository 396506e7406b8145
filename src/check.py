"""Check a data set before you train on it: `python -m src.check data=voc2012`, or propose a config for your own."""

import sys
from functools import partial
from pathlib import Path

from omegaconf import DictConfig
from rich.console import Console

from src.core.command.entry import command
from src.data.config import splits_of
from src.data.inspection import proposal
from src.data.inspection.report import inspect
from src.data.inspection.sheet import draw_sheet
from src.data.sources.table import source_of
from src.runs.checks.commands import check_inspection, prepare


@command("check", check_inspection, prepare=prepare)
def main(config: DictConfig) -> None:
    """Print counts, pixel shares and problems of every list; the exit status is 1 if there is a problem."""
    console = Console(markup=False, emoji=False)
    data = config.data if config.images is None else proposal.data_config(config, console)
    splits = splits_of(data, source_of(data)(root=Path(data.root)), {}).unlimited()
    console.print(f"checking {data.name} in {splits.folder.path}", soft_wrap=True)
    report = inspect(splits.folder, {name: partial(splits.ids, name) for name in ("train", "val")}, data.expected)
    console.print(report.render())
    if report.splits["val"] and (drawn := splits.drawn()):
        console.print(drawn, soft_wrap=True)
    if config.sheet is not None and draw_sheet(splits.folder, report.splits, Path(config.sheet)):
        console.print(f"images with their masks: {config.sheet}", soft_wrap=True)
    if report.problems:
        sys.exit(1)


if __name__ == "__main__":
    main()
