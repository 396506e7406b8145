"""Check a data set before you train on it: `python -m src.check data=voc2012`."""

import sys
from pathlib import Path

from omegaconf import DictConfig
from rich.console import Console

from src.core.command.entry import command
from src.data.folder import VOCFolder
from src.data.inspection import inspect
from src.data.sources.table import source_of
from src.runs.checks.commands import check_inspection, prepare


@command("check", check_inspection, prepare=prepare)
def main(config: DictConfig) -> None:
    """Print counts, pixel shares and problems of every list; the exit status is 1 if there is a problem."""
    console, data = Console(markup=False, emoji=False), config.data
    folder = VOCFolder(source_of(data)(root=Path(data.root)))
    console.print(f"checking {data.name} in {folder.path}", soft_wrap=True)
    report = inspect(folder, {"train": data.train_list, "val": data.val_list}, data.expected)
    console.print(report.render())
    if report.problems:
        sys.exit(1)


if __name__ == "__main__":
    main()
