"""Train a network, score its best checkpoint with every variant, print the table: `python -m src.train`."""

import math
import time

from omegaconf import DictConfig
from rich.console import Console

from src.core.command.entry import command, is_main
from src.reporting.run_table import show
from src.runs.checks.commands import check_train, prepare
from src.runs.folder import RunFolder
from src.runs.listing import dry_run, single
from src.runs.state import run_folder, scored_folder, starting_point, state
from src.training.sweeps.launcher import register_launcher


@command("train", check_train, prepare=prepare, launcher=register_launcher)
def main(config: DictConfig) -> float:
    """Do the missing parts of this config's run; returns the monitored value, for sweepers."""
    main_process = is_main(config)
    console, folder = Console(markup=False, emoji=False, quiet=not main_process), run_folder(config)
    if config.dry_run:
        return dry_run(single(config), console)
    before = state(config, folder)
    if before == "done":
        console.print(f"This run is done already (overwrite=true runs it again): {folder.path}", soft_wrap=True)
    else:
        with folder.attempt(first=main_process):
            if before == "trained":
                from src.evaluation.scoring.score import score_again

                score_again(config, folder, console)
            else:
                train(config, folder, console)
    if not main_process:
        return math.nan
    show(scored_folder(config, folder), console)
    return float(folder.read_results(trained=True)["monitor"]["value"])


def train(config: DictConfig, folder: RunFolder, console: Console) -> None:
    """Fit, keep the best by the monitor, score it on val."""
    started = time.monotonic()
    checkpoint, ended = starting_point(config, folder)

    from src.evaluation import build  # torch from here on: mistakes in the config are reported before this import
    from src.evaluation.scoring import costs, results, score
    from src.runs.loggers import loggers
    from src.training import fit, recipe, resume

    machine = recipe.training_hardware(config)
    console.print(f"machine     {machine}{recipe.batches(config.recipe, machine)}", soft_wrap=True)
    build.compile_ahead(config, machine)
    data = build.datamodule(config, machine)
    console.print(f"data        {config.data.name}: {data.summary()}; {data.remember()}", soft_wrap=True)
    task, origin = recipe.task(config, machine, fingerprint=data.fingerprint())
    console.print(f"weights     {origin}", soft_wrap=True)
    checkpoint = resume.go_on(checkpoint, config, folder, task, console)
    if is_main(config):
        folder.begin(config, {split: data.ids(split) for split in ("train", "val")})
    with (
        loggers(config, folder) as logging,
        build.scorer(config, machine) as scorer,
        fit.fitting_trainer(config, machine, folder, logging) as trainer,
    ):
        ended = resume.checked(ended, config, folder, task) or fit.fit(config, trainer, task, data, folder, checkpoint)
        fit.tell(ended, console)
        scorer.observers += results.observers(config, folder, data.ids("val"), logging)
        keep = score.kept_logits(config.keep_logits, config.variants, folder, data)
        score.score_network(folder.best, task, trainer, data, scorer, console, keep=keep)
        results.log_scores(logging, scorer, config)
        spent = costs.of_network(task, trainer, data, scorer, machine, crop=config.recipe.augment.crop)
    if is_main(config):
        facts = {**ended, **task.provenance, "overlap": data.overlap(), "machine": build.machine_facts(machine)}
        results.write(folder, config, scorer, **facts, costs=spent, seconds=round(time.monotonic() - started, 1))


if __name__ == "__main__":
    main()
