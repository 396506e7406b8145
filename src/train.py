"""Train a network, score its best checkpoint with every variant, print the table: `python -m src.train`."""

import time

from omegaconf import DictConfig
from rich.console import Console

from src.cli import command
from src.reporting.tables import show
from src.runs import is_done, resume_path, run_folder
from src.validate import check_train


@command("train", check_train)
def main(config: DictConfig) -> float:
    """Fit, keep the best by the monitor, score it on val; returns the monitored value for sweepers."""
    console, started = Console(), time.monotonic()
    folder = run_folder(config)
    if is_done(config, folder):
        console.print(f"This run is done already (overwrite=true runs it again): {folder.path}", soft_wrap=True)
        done = folder.read_results()
        show(folder, done, console)
        return float(done["monitor"]["value"])
    folder.create()
    resume = resume_path(config, folder)

    from src import build, results, training  # torch from here on: mistakes in the config were told before

    machine = build.hardware(config)
    console.print(f"machine     {machine}")
    data = build.datamodule(config, machine)
    data.prepare_data()
    fingerprint = data.fingerprint()
    console.print(f"data        {config.data.name}: {data.summary()}")
    task, origin = build.task(config, machine, fingerprint=fingerprint)
    console.print(f"weights     {origin}", soft_wrap=True)
    if resume is not None:
        training.check_resume(resume, config)
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
        task.scorer = scorer
        scorer.observers += training.observers(config, folder, data.ids("val"), loggers)
        trainer.test(task, data, ckpt_path=folder.best, weights_only=True, verbose=False)
        training.log_scores(loggers, scorer)
    done = results.write(
        folder,
        config,
        scorer,
        monitor=best,
        **task.provenance,
        overlap=data.overlap(),
        seconds=round(time.monotonic() - started, 1),
    )
    show(folder, done, console)
    return float(best["value"])


if __name__ == "__main__":
    main()
