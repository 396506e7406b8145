"""Train a network, score its best checkpoint with every variant, print the table: `python -m src.train`."""

import time

from omegaconf import DictConfig
from rich.console import Console

from src.cli import command
from src.identity import resume_path, run_folder, scored_folder, state
from src.reporting.tables import show
from src.runs import RunFolder
from src.validate import check_train


@command("train", check_train)
def main(config: DictConfig) -> float:
    """Do what is missing of this config's run; returns the monitored value for sweepers."""
    console = Console()
    folder = run_folder(config)
    before = state(config, folder)
    if before == "done":
        console.print(f"This run is done already (overwrite=true runs it again): {folder.path}", soft_wrap=True)
    else:
        with folder.attempt():
            if before == "trained":
                from src.evaluation import score_again

                score_again(config, folder, console)
            else:
                train(config, folder, console)
    show(scored_folder(config, folder), console)
    return float(folder.read_results()["monitor"]["value"])


def train(config: DictConfig, folder: RunFolder, console: Console) -> None:
    """Fit, keep the best by the monitor, score it on val."""
    started = time.monotonic()
    resume = resume_path(config, folder)

    from src import build, evaluation, results, training  # torch from here on: mistakes in the config were told before

    machine = build.hardware(config)
    console.print(f"machine     {machine}")
    data = build.datamodule(config, machine)
    data.prepare_data()
    fingerprint = data.fingerprint()
    console.print(f"data        {config.data.name}: {data.summary()}")
    task, origin = build.task(config, machine, fingerprint=fingerprint)
    console.print(f"weights     {origin}", soft_wrap=True)
    if resume is not None:
        console.print(f"resuming    behind epoch {training.check_resume(resume, config)} of {resume}", soft_wrap=True)
    if config.overwrite:
        folder.clear()
    folder.write_config(config)

    with training.loggers(config, folder) as loggers, build.scorer(config, machine) as scorer:
        trainer = training.trainer(config, machine, folder, loggers)
        if config.recipe.epochs > 0:
            trainer.fit(task, data, ckpt_path=resume, weights_only=True)
            best = training.best_of(trainer, folder)
        else:
            best = training.as_it_is(trainer, task, data, folder)
        console.print(f"best        {best['key']} {best['value']:.4f} in epoch {best['epoch']}; scoring it")
        scorer.observers += training.observers(config, folder, data.ids("val"), loggers)
        keep = evaluation.kept_logits(config, folder)
        evaluation.score_network(folder.best, task, trainer, data, scorer, console, keep=keep)
        training.log_scores(loggers, scorer)
    results.write(
        folder,
        config,
        scorer,
        monitor=best,
        **task.provenance,
        overlap=data.overlap(),
        seconds=round(time.monotonic() - started, 1),
    )


if __name__ == "__main__":
    main()
