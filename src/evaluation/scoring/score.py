"""Score a source with the variants of a config, and save scores and pictures in a folder."""

from functools import partial
from pathlib import Path

import lightning.pytorch as pl
from omegaconf import DictConfig
from rich.console import Console

from src.core.command.entry import is_main
from src.data.config import classes_of
from src.data.datamodule import SegmentationDataModule
from src.evaluation import build
from src.evaluation.machine.hardware import Hardware
from src.evaluation.machine.trainer import scoring_trainer
from src.evaluation.scoring import costs, logits, results
from src.evaluation.scoring.exported import OnnxTask
from src.evaluation.scoring.stored import LogitsTask
from src.evaluation.source import Source, mapping_of
from src.evaluation.task import ScoringTask
from src.models.sources.onnx import OnnxNetwork
from src.runs.checks.variants import need_network
from src.runs.folder import RunFolder
from src.runs.loggers import loggers
from src.runs.state import scored_folder
from src.scoring.scorer import VariantScorer


def score(
    settled: DictConfig,
    source: Source,
    machine: Hardware,
    data: SegmentationDataModule,
    folder: RunFolder,
    console: Console,
    *,
    keep: Path | None,
) -> float:
    """Score a source with the variants of a config and save the scores in a folder; returns the best mIoU.

    Args:
        settled: the config that goes with the source.
        source: where the predictions come from.
        machine: to run on.
        data: its validation images are scored.
        folder: for the scores and pictures.
        console: prints what takes long.
        keep: folder in which to keep the network's logits; None: score them without keeping them.
    """
    fingerprint = data.fingerprint(["val"])  # first, because it needs each file
    with (
        loggers(settled, folder) as logging,
        build.scorer(settled, machine) as scorer,
        scoring_trainer(machine, folder.path) as trainer,
    ):
        scorer.observers += results.observers(settled, folder, data.ids("val"), logging)
        if source.onnx is not None:
            network = OnnxNetwork(source.onnx, threads=machine.cores)
            classes = len(source.classes or classes_of(settled.data))
            exported = OnnxTask(network, scorer, classes, mapping_of(settled, source))
            trainer.test(exported, data, verbose=False)
            spent = costs.of_variants(exported.look, data, scorer, machine, timed=True)
        elif source.checkpoint is None or source.stored is None:
            stored = LogitsTask(source.path, scorer, classes_of(settled.data).names)
            trainer.test(stored, data, verbose=False)
            spent = costs.of_variants(partial(stored.look, data), data, scorer, machine, timed=False)
        else:
            task = build.scoring_task(source.stored, machine)
            task.mapping = mapping_of(settled, source)
            score_network(source.checkpoint, task, trainer, data, scorer, console, keep=keep)
            spent = costs.of_network(task, trainer, data, scorer, machine, crop=source.stored.recipe.augment.crop)
        results.log_scores(logging, scorer, settled)
    if is_main(settled):
        facts = {
            "source": str(source.path),
            "logits": None if keep is None else str(keep),
            "fingerprint": fingerprint,
            "versions": build.versions(),
        }
        folder.write_config(settled)
        results.write(folder, settled, scorer, **facts, machine=build.machine_facts(machine), costs=spent)
    return max(result.miou for result in scorer.scores().values())


def score_again(config: DictConfig, folder: RunFolder, console: Console) -> float:
    """Score a finished run's network with the variants of `config`, beside its earlier scores."""
    source = Source(folder.path, folder.best, config)
    machine = build.hardware(config)
    build.compile_ahead(config, machine)
    data = build.datamodule(config, machine)
    data.prepare_data()
    scored = scored_folder(config, folder)
    scored.create()
    console.print(f"trained     {folder.path}; scoring it with other variants", soft_wrap=True)
    keep = kept_logits(config.keep_logits, config.variants, folder, data)
    return score(config, source, machine, data, scored, console, keep=keep)


def kept_logits(
    wanted: bool | None, variants: DictConfig, folder: RunFolder, data: SegmentationDataModule
) -> Path | None:
    """The folder for the logits of a run, inside the run folder, if they are wanted, or are there already.

    None if variants need the network itself, or if logits that nobody asked for are of other images.
    """
    if need_network(variants):
        return None
    if wanted:
        return folder.logits
    return folder.logits if folder.logits.is_dir() and logits.fit(folder.logits, data.ids("val"), data) else None


def score_network(
    checkpoint: Path,
    task: ScoringTask,
    trainer: pl.Trainer,
    data: SegmentationDataModule,
    scorer: VariantScorer,
    console: Console,
    *,
    keep: Path | None,
) -> None:
    """Fill a checkpoint into the task and score it in one pass over val; with `keep`, from logits in files."""
    scorer.begin()
    task.scorer = scorer
    if keep is None:
        trainer.test(task, data, ckpt_path=checkpoint, weights_only=True, verbose=False)
    else:
        logits.keep(keep, data.ids("val"), checkpoint, task, data, trainer, console)
        trainer.test(LogitsTask(keep, scorer, task.classes, task.mapping), data, verbose=False)
    console.print(f"scored      {scorer.account()}", highlight=False, soft_wrap=True)
