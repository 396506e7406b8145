"""What `src.evaluate` scores: a run's checkpoint with the run's own config, or logits of any network from files."""

import copy
import time
from dataclasses import dataclass
from pathlib import Path

import lightning.pytorch as pl
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from src import build, logits, processes, results, training
from src.checkpoint import stored_config
from src.data.datamodule import SegmentationDataModule
from src.errors import InputError
from src.hardware import Hardware
from src.identity import evaluation_name, scored_folder
from src.logits import LogitsTask
from src.memory import memory_for_scoring
from src.runs import RunFolder
from src.task import SegmentationTask
from src.trainer import scoring_trainer
from src.variant_checks import need_network
from src.variants import VariantScorer


@dataclass(frozen=True)
class Source:
    """Where predictions come from.

    Attributes:
        path: what the user named.
        checkpoint: of a network, or None for saved logits.
        stored: the config the network was trained with, or None for saved logits.
    """

    path: Path
    checkpoint: Path | None
    stored: DictConfig | None

    @property
    def name(self) -> str:
        """For the screen."""
        return f"logits in {self.path}" if self.checkpoint is None else str(self.checkpoint)


def find(config: DictConfig) -> Source:
    """The checkpoint or logits that the config names, the checkpoint read and its config taken out."""
    if config.logits is not None:
        return Source(Path(config.logits), None, None)
    path = RunFolder(Path(config.run)).best if config.run is not None else Path(config.checkpoint)
    return Source(Path(config.run or config.checkpoint), path, stored_config(path))


def prepare(config: DictConfig, typed: list[str]) -> tuple[Source, DictConfig, Hardware, SegmentationDataModule]:
    """Where predictions come from, the config that goes with them, the machine, and the data, found or made."""
    source = find(config)
    settled = settle(config, source, typed)
    machine = build.hardware(settled)
    data = build.datamodule(settled, machine)
    data.prepare_data()
    return source, settled, machine, data


def settle(config: DictConfig, source: Source, typed: list[str]) -> DictConfig:
    """The run's own config, with what the command line says about data, CRF, variants, protocol and machine.

    Args:
        config: composed from `conf/evaluate.yaml`.
        source: gives the stored config.
        typed: overrides of the command line; `data=NAME` replaces the run's data config, `data.key=value` one key.
    """
    if source.stored is None:
        settled = copy.deepcopy(config)
        OmegaConf.update(settled, "seed", 0, force_add=True)  # nothing is drawn here
    else:
        settled = copy.deepcopy(source.stored)
        for key in ("trainer", "logger", "panels"):
            if key in config:
                settled[key] = config[key]
        for group in ("data", "crf", "variants"):
            if any(word.startswith(f"{group}=") for word in typed):
                settled[group] = config[group]
            for word in typed:
                key = word.lstrip("+").partition("=")[0]
                if key.startswith(f"{group}."):
                    OmegaConf.update(settled, key, OmegaConf.select(config, key), force_add=True)
                elif key.startswith(f"~{group}."):
                    settled[group].pop(key.removeprefix(f"~{group}."), None)
    if config.protocol is not None:
        settled.recipe.protocol = config.protocol
    return settled


def output_folder(config: DictConfig, settled: DictConfig, source: Source) -> RunFolder:
    """`output`, or inside the run's folder, or under `runs`; the same question has the same folder."""
    if config.output is not None:
        folder = RunFolder(Path(config.output))
        if folder.last.exists() or folder.best.exists():
            raise InputError(
                f"output={folder.path}: holds a training run, whose results would be lost; choose another."
            )
        return folder
    name = evaluation_name(settled)
    if config.run is not None:
        return RunFolder(source.path / "evaluations" / name)
    return RunFolder(Path(config.runs) / f"evaluate-{source.path.stem}-{name}")


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
    """Score a source with the variants of a config, leave the scores in a folder; gives the best mIoU.

    Args:
        settled: the config that goes with the source.
        source: of the predictions.
        machine: to run on.
        data: whose validation images are scored.
        folder: for the scores and pictures.
        console: is told what takes long.
        keep: folder in which the network's logits are kept; None scores them as they come.
    """
    with (
        training.loggers(settled, folder) as loggers,
        build.scorer(settled, machine) as scorer,
        scoring_trainer(machine, folder) as trainer,
    ):
        scorer.observers += training.observers(settled, folder, data.ids("val"), loggers)
        if source.checkpoint is None:
            trainer.test(LogitsTask(source.path, scorer), data, verbose=False)
        else:
            task, _ = build.task(settled, machine, fingerprint=data.fingerprint(), pretrained=False)
            score_network(source.checkpoint, task, trainer, data, scorer, console, keep=keep)
        training.log_scores(loggers, scorer)
    if processes.is_main(settled):
        facts = {"source": str(source.path), "fingerprint": data.fingerprint(), "versions": build.versions()}
        folder.write_config(settled)
        results.write(folder, settled, scorer, **facts)
    return max(result.miou for result in scorer.scores().values())


def score_again(config: DictConfig, folder: RunFolder, console: Console) -> float:
    """Score the network of a finished run with the variants of a config of the same training, beside its own."""
    source = Source(folder.path, folder.best, config)
    machine = build.hardware(config)
    data = build.datamodule(config, machine)
    data.prepare_data()
    scored = scored_folder(config, folder)
    scored.create()
    console.print(f"trained     {folder.path}; scoring it with other variants", soft_wrap=True)
    return score(
        config, source, machine, data, scored, console, keep=kept_logits(config.keep_logits, config.variants, folder)
    )


def kept_logits(wanted: bool | None, variants: DictConfig, folder: RunFolder) -> Path | None:
    """Where the logits of a run are kept: in its folder, if that is wanted or they are there already.

    None where variants need the network itself.
    """
    if need_network(variants):
        return None
    return folder.logits if wanted or folder.logits.is_dir() else None


def score_network(
    checkpoint: Path,
    task: SegmentationTask,
    trainer: pl.Trainer,
    data: SegmentationDataModule,
    scorer: VariantScorer,
    console: Console,
    *,
    keep: Path | None,
) -> None:
    """Score a checkpoint filled into the task, from one pass over val; with `keep`, from logits in files."""
    started = time.perf_counter()
    with memory_for_scoring():
        if keep is None:
            task.scorer = scorer
            trainer.test(task, data, ckpt_path=checkpoint, weights_only=True, verbose=False)
        else:
            logits.keep(keep, data.ids("val"), checkpoint, task, data, trainer, console)
            trainer.test(LogitsTask(keep, scorer), data, verbose=False)
    console.print(f"scored      {scorer.account(time.perf_counter() - started)}", highlight=False, soft_wrap=True)
