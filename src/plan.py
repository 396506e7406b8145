"""What a sweep will cost and what it can find, before it starts: `python -m src.plan table=NAME [runs=PILOT]`."""

from pathlib import Path

from omegaconf import DictConfig
from rich.console import Console

from src.core.command.entry import command
from src.reporting.request import swept
from src.runs.checks.commands import check_plan
from src.runs.listing import refuse_broken, show_jobs
from src.training.sweeps import finding
from src.training.sweeps.shapes import images_of


@command("plan", check_plan, rest="options")
def main(config: DictConfig) -> None:
    """List the jobs, then estimate their cost from done runs or a short training, and what their verdicts can show."""
    console = Console(markup=False, emoji=False)
    jobs = swept(config, [*map(str, config.options), f"runs={config.into}", f"jobs={config.jobs}"])
    show_jobs(jobs, console)
    sound = [job for job in jobs if job.standing()[0] != "invalid"]
    if sound:
        done = finding.done_runs(config, sound)
        assert sound[0].config is not None
        images = images_of(sound[0].config)

        from src.training.sweeps import costs  # torch from here on

        kinds = costs.estimate(sound, done, at_once=config.jobs, steps=config.steps, console=console)
        costs.show(kinds, sound, at_once=config.jobs, into=Path(config.into), console=console)
        finding.show(finding.question_of(sound), images.val, done, console)
    refuse_broken(jobs)


if __name__ == "__main__":
    main()
