"""Score a run, a checkpoint or saved logits with any variants: `python -m src.evaluate run=FOLDER`."""

from pathlib import Path

from omegaconf import DictConfig
from rich.console import Console

from src.core.command.entry import command, is_main, typed_overrides
from src.reporting.run_table import show
from src.runs.checks.commands import check_evaluate, prepare
from src.runs.checks.variants import check_kept
from src.runs.folder import RunFolder


@command("evaluate", check_evaluate, prepare=prepare)
def main(config: DictConfig) -> float:
    """Score on val against the ground truth; returns the best mIoU of all variants."""
    console = Console(markup=False, emoji=False, quiet=not is_main(config))
    from src.evaluation import source  # torch from here on
    from src.evaluation.scoring.score import kept_logits, score

    found, settled, machine, data = source.prepare(config, typed_overrides())
    if config.keep_logits is not None:
        check_kept(settled.variants)
    folder = source.output_folder(config, settled, found, data)
    warning = source.trained_on(settled, found, data)
    console.print(f"scoring     {found.name}, {data.val_summary()} of {settled.data.name}{warning}", soft_wrap=True)
    keep = Path(config.keep_logits) if config.keep_logits is not None else None
    if keep is None and config.run is not None:
        keep = kept_logits(None, settled.variants, RunFolder(found.path), data)
    with folder.attempt(first=is_main(config)):
        best = score(settled, found, machine, data, folder, console, keep=keep)
    if is_main(config):
        show(folder, console)
    return best


if __name__ == "__main__":
    main()
