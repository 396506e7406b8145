"""Search CRF parameters and a fusion rule on images that are not scored afterwards: `python -m src.tune run=FOLDER`."""

from pathlib import Path

from omegaconf import DictConfig
from rich.console import Console

from src.core.command.entry import command, typed_overrides
from src.runs.checks.commands import check_tune, prepare
from src.runs.folder import RunFolder


@command("tune", check_tune, prepare=prepare)
def main(config: DictConfig) -> float:
    """Try settings until `trials` are done and write the best as a preset; returns its mIoU on the tuning images."""
    console = Console(markup=False, emoji=False)
    from src.evaluation import build, source  # torch from here on
    from src.evaluation.machine.trainer import scoring_trainer
    from src.evaluation.scoring import logits
    from src.evaluation.tuning import preset, search

    found, settled, machine, data = source.prepare(config, typed_overrides())
    ids = search.choose_images(config, data)
    identity = search.identity(config, settled, found, ids, data)
    folder = RunFolder(search.folder(config, settled, found, identity))
    with folder.attempt(first=True):
        console.print(
            f"tuning on   {len(ids)} {config.split} images of {settled.data.name}, {found.name}", soft_wrap=True
        )

        kept = found.path
        if found.checkpoint is not None:
            kept = folder.path / "logits"
            task = build.scoring_task(found.stored or settled, machine)
            with scoring_trainer(machine, folder.path) as trainer:
                logits.keep(kept, ids, found.checkpoint, task, data, trainer, console)
        engine = build.engine(settled, machine)
        try:
            tried = search.Search(config, settled, search.Images(ids, Path(kept), data), engine)
            study = search.open_study(folder.path, identity, config.seed)
            tried.run(study, console)
        finally:
            engine.close(cancel=True)
        path = folder.path / f"{config.name}.yaml"
        preset.write_preset(path, study, tried, found.name)
        preset.show(study, tried, path, console)
        return float(study.best_value)


if __name__ == "__main__":
    main()
