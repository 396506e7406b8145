"""Make a table with intervals, plots and pictures of runs: `python -m src.report table=NAME | runs=FOLDER,...`."""

from pathlib import Path

from omegaconf import DictConfig
from rich.console import Console

from src.core.command.entry import command
from src.core.errors import printable
from src.runs.checks.commands import check_report


@command("report", check_report, rest="options")
def main(config: DictConfig) -> float:
    """Compare, write the report, show the table; returns the mIoU of the best row."""
    console = Console(markup=False, emoji=False)
    from src.reporting.output import formats, plots, publish
    from src.reporting.request import asked

    question = asked(config)
    with console.status(f"comparing {len(question.cells)} runs"):
        table = question.compare(config.resamples)
        folder = Path(config.output or Path("reports") / table.name)
        figures = plots.all_of(table)
        publish.write(table, question.commands, figures, folder, insert=config.insert)
        if config.records is not None:
            publish.copy_runs(question, Path(config.records))
    if config.logger.name == "wandb":
        from src.reporting.output import online

        online.publish(table, figures, folder, config)
    formats.show(table, console)
    if config.records is not None:
        console.print(printable(f"records     {config.records}"), soft_wrap=True)
    console.print(printable(f"report      {folder / 'index.html'}"), soft_wrap=True)
    return max((float(row.estimate.value[0]) for row in table.rows if row.estimate is not None), default=0.0)


if __name__ == "__main__":
    main()
