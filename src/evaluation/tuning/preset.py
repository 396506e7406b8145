"""Results of a search for CRF parameters: a preset, and a table on the screen."""

from pathlib import Path

import optuna
from omegaconf import OmegaConf
from rich import box
from rich.console import Console
from rich.table import Table

from src.core.files.whole import replacing
from src.evaluation.tuning.search import Search, complete, values
from src.scoring import presets


def write_preset(path: Path, study: optuna.Study, search: Search, source: str) -> None:
    """Write the best setting to a file for `crf=PATH`, with the images that it must not be scored on."""
    best, config = study.best_trial, search.config
    rule = best.user_attrs["fusion"]
    tuned = {
        "guidance": config.guidance,
        "fusion": None if rule == "alone" else rule,
        "options": OmegaConf.to_object(config.fusion[rule]),
        "data": search.data_name,
        "split": config.split,
        "source": source,
        "trials": len(complete(study)),
        "miou": {"none": study.user_attrs["none"], "start": _start(study, search).value, "tuned": study.best_value},
        "ids": search.images.ids,
    }
    parameters = {key: search.preset[key] for key in presets.PARAMETERS} | values(best.params)
    content = {"name": config.name, "engine": search.preset.engine, "batch": None, **parameters, "tuned": tuned}
    header = "# Found by python -m src.tune. The scores are on the images that it was tuned on.\n"
    with replacing(path) as temporary:
        temporary.write_text(header + OmegaConf.to_yaml(OmegaConf.create(content)), encoding="utf-8")


def show(study: optuna.Study, search: Search, preset: Path, console: Console) -> None:
    """Print the scores of the network alone, the start and the best on the tuning images, and how to use the preset."""
    table = Table(box=box.SIMPLE_HEAD)
    trials = {"start": _start(study, search), "tuned": study.best_trial}
    for heading in ("", "none", *trials):
        table.add_column(heading, justify="right" if heading else "left")
    scores = (f"{100 * (trial.value or 0):.2f}" for trial in trials.values())
    table.add_row("mIoU %", f"{100 * study.user_attrs['none']:.2f}", *scores)
    table.add_row("fusion", "", *(trial.user_attrs["fusion"] for trial in trials.values()))
    for key in search.config.space:
        table.add_row(str(key), "", *(f"{values(trial.params)[key]:g}" for trial in trials.values()))
    count = f"{len(search.images)} {search.config.split} images"
    console.print(f"\nmIoU on the {count} of the tuning; it is too high, so score on other images", style="bold")
    console.print(table)
    left_out = "; this leaves out the tuning images" if search.config.split == "val" else ""
    console.print(
        f"preset      {preset} (copied to conf/crf, it has the name crf={search.config.name})", soft_wrap=True
    )
    console.print(f"score it    python -m src.evaluate ... crf={preset} variants=tuned{left_out}", soft_wrap=True)


def _start(study: optuna.Study, search: Search) -> optuna.trial.FrozenTrial:
    return next(trial for trial in complete(study) if trial.params == search.start)
