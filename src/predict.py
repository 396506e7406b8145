"""Label photos or a video with a trained network: `python -m src.predict run=FOLDER images=FOLDER`."""

import sys
from pathlib import Path

from omegaconf import DictConfig
from rich.console import Console

from src.core.command.entry import command, is_main, typed_overrides
from src.data.files.photos import find_photos
from src.runs.checks.commands import check_predict, prepare
from src.runs.folder import RunFolder


@command("predict", check_predict, prepare=prepare)
def main(config: DictConfig) -> None:
    """Write labels, overlays and a table of every image; the exit status is 1 if one cannot be read."""
    console = Console(markup=False, emoji=False, quiet=not is_main(config))
    # A wrong word is told before torch is imported.
    find_photos(config.images, besides=config.output and Path(config.output))
    from src.evaluation import build, source  # torch from here on
    from src.evaluation.prediction import job, question
    from src.evaluation.prediction.predictor import opened

    found = source.find(config)
    settled = source.settle(config, found, typed_overrides())
    variant = question.only_variant(settled, config.variant)
    asked = question.question_of(config, settled, found, variant)
    folder = RunFolder(asked.folder(config))
    photos = find_photos(config.images, besides=question.answers_in(folder.path, config))
    machine = build.hardware(settled)
    build.compile_ahead(settled, machine)
    console.print(f"network     {found.name}, variant {variant}; {machine}", soft_wrap=True)
    console.print(f"output      {folder.path}", soft_wrap=True)
    with folder.attempt(first=is_main(config)), opened(settled, found, machine) as predictor:
        unread = job.predict(photos, predictor, asked, folder.path, config, console)
    if unread:
        sys.exit(1)


if __name__ == "__main__":
    main()
