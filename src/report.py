"""A table with intervals and plots of runs: `python -m src.report table=NAME | runs=FOLDER,... | counts=FILE,...`."""

from pathlib import Path

from omegaconf import DictConfig
from rich.console import Console

from src.core.command.entry import command
from src.core.errors import printable
from src.runs.checks.commands import check_report
from src.runs.checks.schema import worst_count


@command("report", check_report, rest="options")
def main(config: DictConfig) -> float:
    """Compare, write the report, show the table; returns the mIoU of the best row."""
    console = Console(markup=False, emoji=False)
    from src.reporting.output import formats, publish
    from src.reporting.output.figures import plots
    from src.reporting.output.images.browser import browser
    from src.reporting.output.text import definitions
    from src.reporting.request import asked

    question, more = asked(config), None
    if config.ensemble or config.definitions:
        from src.evaluation.scoring import recount  # torch, for kept logits

        more = recount.ensembles if config.ensemble else None
    with console.status(f"comparing {len(question.cells)} runs"):
        table = question.compare(config.resamples, tell=lambda line: console.print(line, soft_wrap=True), more=more)
        if config.definitions:
            definitions.count(table, *recount.crops_of(table))
        folder = Path(config.output or Path("reports") / table.name)
        figures = plots.all_of(table)
        images = browser(table, worst_count(config.images), folder)
        publish.write(table, question.commands, figures, folder, insert=config.insert, images=images.files)
        if config.records is not None:
            publish.copy_runs(question, Path(config.records))
    if config.logger.name == "wandb":
        from src.reporting.output import online

        online.publish(table, figures, folder, config)
    formats.show(table, console)
    copied = [] if config.records is None else [f"records     {config.records}"]
    for line in (*copied, f"report      {folder / 'index.html'}", *images.said):
        console.print(printable(line), soft_wrap=True)
    return max((float(row.estimate.value[0]) for row in table.rows if row.estimate is not None), default=0.0)


if __name__ == "__main__":
    main()
