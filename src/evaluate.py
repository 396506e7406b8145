"""Score a run, a checkpoint or saved logits with any variants: `python -m src.evaluate run=FOLDER`."""

from pathlib import Path

from omegaconf import DictConfig
from rich.console import Console

from src.cli import command, typed_overrides
from src.reporting.tables import show
from src.validate import check_evaluate


@command("evaluate", check_evaluate)
def main(config: DictConfig) -> float:
    """Score on val against the ground truth; returns the best mIoU of all variants."""
    console = Console()
    from src import build, evaluation, logits, results, training  # torch from here on

    source, settled, machine, data = evaluation.prepare(config, typed_overrides())
    folder = evaluation.output_folder(config, settled, source)
    folder.create()
    console.print(f"scoring     {source.name}, {data.val_summary()} of {settled.data.name}", soft_wrap=True)

    with training.loggers(settled, folder) as loggers, build.scorer(settled, machine) as scorer:
        scorer.observers += training.observers(settled, folder, data.ids("val"), loggers)
        if source.checkpoint is None:
            evaluation.score_logits(source.path, data, scorer)
        else:
            task, _ = build.task(settled, machine, fingerprint=data.fingerprint(), pretrained=False)
            trainer = training.trainer(settled, machine, folder, [])
            if config.keep_logits is None:
                task.scorer = scorer
                trainer.test(task, data, ckpt_path=source.checkpoint, weights_only=True, verbose=False)
            else:
                kept = Path(config.keep_logits)
                logits.keep(kept, data.ids("val"), source.checkpoint, task, data, trainer, console)
                evaluation.score_logits(kept, data, scorer)
        training.log_scores(loggers, scorer)
    folder.write_config(settled)
    done = results.write(folder, settled, scorer, source=str(source.path), fingerprint=data.fingerprint())
    show(folder, done, console)
    return max(float(row["miou"]) for row in done["variants"].values())


if __name__ == "__main__":
    main()
