"""Search CRF parameters and a fusion rule on images that are not scored afterwards: `python -m src.tune run=FOLDER`."""

from pathlib import Path

from omegaconf import DictConfig
from rich.console import Console

from src.command import command, typed_overrides
from src.runs import RunFolder
from src.validate import check_tune, prepare


@command("tune", check_tune, prepare=prepare)
def main(config: DictConfig) -> float:
    """Try settings until there are `trials`, write the best as a preset; returns its mIoU on the tuning images."""
    console = Console()
    from src import build, logits, source, tuning  # torch from here on
    from src.reporting import tuned
    from src.trainer import scoring_trainer

    found, settled, machine, data = source.prepare(config, typed_overrides())
    ids = tuning.choose_images(config, data)
    identity = tuning.identity(config, settled, found, ids)
    folder = RunFolder(tuning.folder(config, settled, found, identity))
    folder.create()
    console.print(f"tuning on   {len(ids)} {config.split} images of {settled.data.name}, {found.name}", soft_wrap=True)

    kept = found.path
    if found.checkpoint is not None:
        kept = folder.path / "logits"
        task = build.scoring_task(settled, machine)
        with scoring_trainer(machine, folder.path) as trainer:
            logits.keep(kept, ids, found.checkpoint, task, data, trainer, console)
    engine = build.engine(settled, machine)
    try:
        search = tuning.Search(config, settled, tuning.Images(ids, Path(kept), data), engine)
        study = tuning.open_study(folder.path, identity, config.seed)
        search.run(study, console)
    finally:
        engine.close(cancel=True)
    preset = folder.path / f"{config.name}.yaml"
    tuned.write_preset(preset, study, search, found.name)
    tuned.show(study, search, preset, console)
    return float(study.best_value)


if __name__ == "__main__":
    main()
