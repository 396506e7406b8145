"""Search of CRF parameters with Optuna: which images, which settings, what is written.

Lattices are what costs, and depend on the standard deviations alone: one setting of a round is Optuna's free choice,
the others share its standard deviations, and all settings of a round go through an image together.
"""

import hashlib
import json
import warnings
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import torch
from omegaconf import DictConfig, OmegaConf
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import PartialFixedSampler, TPESampler
from optuna.storages import RDBStorage
from optuna.trial import Trial, TrialState
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from src import fusion
from src.crf import presets
from src.crf.engines import Engine
from src.crf.model import CRFParameters, DenseCRF
from src.data.datamodule import SegmentationDataModule
from src.data.voc import VOC_CLASSES
from src.errors import InputError
from src.evaluation import Source
from src.logits import read_logits
from src.models.deeplab import resize_logits
from src.results import choose
from src.scoring import confusion_matrix, scores
from src.variants import Fusion, Variant

STUDY = "study.sqlite3"
SIGMAS = ("spatial_sigma", "bilateral_sigma_xy", "bilateral_sigma_rgb")


def choose_images(config: DictConfig, data: SegmentationDataModule) -> list[str]:
    """Ids to tune on; on val at most half, so that something is left to score."""
    available = data.ids(config.split)
    if config.split == "val" and config.images > len(available) // 2:
        raise InputError(
            f"images={config.images}: val has {len(available)} images, and those tuned on are not scored afterwards; "
            f"use images={len(available) // 2} or less, or split=train."
        )
    return choose(available, config.images)


def identity(config: DictConfig, settled: DictConfig, source: Source, ids: list[str]) -> str:
    """What a study asks; trials of different questions must not meet in one study."""
    keys = ("space", "fusion", "guidance", "split")
    content = {key: OmegaConf.to_object(config[key]) if key in ("space", "fusion") else config[key] for key in keys}
    content |= {"crf": OmegaConf.to_object(settled.crf), "data": settled.data.name, "source": source.name, "ids": ids}
    content["protocol"] = settled.recipe.protocol
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]


def folder(config: DictConfig, settled: DictConfig, source: Source, ids: list[str]) -> Path:
    """`output`, or one under `runs` named after the question."""
    name = f"tune-{source.path.stem}-{settled.data.name}-{identity(config, settled, source, ids)}"
    return Path(config.output) if config.output is not None else Path(config.runs) / name


def open_study(folder: Path, identity: str, seed: int) -> optuna.Study:
    """The study in a folder, new or to go on with; what was under way when an earlier call ended counts as failed."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.filterwarnings("ignore", category=ExperimentalWarning)  # PartialFixedSampler has been one for years
    # SQLite outlives a kill at any moment; the lock of Optuna's journal file does not.
    storage = RDBStorage(f"sqlite:///{(folder / STUDY).resolve()}")
    study = optuna.create_study(storage=storage, study_name="crf", direction="maximize", load_if_exists=True)
    if study.user_attrs.get("identity", identity) != identity:
        raise InputError(f"{folder}: holds a search of another question; choose another output=FOLDER.")
    study.set_user_attr("identity", identity)
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
    study.sampler = TPESampler(seed=seed + len(study.trials), multivariate=True)
    return study


@dataclass(frozen=True)
class Images:
    """The tuning images, read anew each time: a round takes much longer than reading does."""

    ids: list[str]
    logits: Path
    data: SegmentationDataModule

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, np.ndarray[Any, Any], torch.Tensor]:
        """Probabilities (C, H, W), rgb (H, W, 3) and truth (H, W)."""
        sample = self.data.whole_images(self.ids).dataset[index]
        logits = read_logits(self.logits / f"{self.ids[index]}.npz")
        mask = sample["mask"]
        return resize_logits(logits[None], (mask.shape[0], mask.shape[1]))[0].softmax(0), sample["rgb"].numpy(), mask


class Search:
    """Asks Optuna for settings and scores them with every fusion rule.

    Args:
        config: composed from `conf/tune.yaml`.
        settled: the run's config, with the preset from which the search starts.
        images: to score on.
        engine: runs the CRFs.
    """

    def __init__(self, config: DictConfig, settled: DictConfig, images: Images, engine: Engine) -> None:
        self.config = config
        self.preset = settled.crf
        self.data_name = settled.data.name
        self.images = images
        self.engine = engine
        self.rules: dict[str, Fusion | None] = {
            str(name): None if name == "alone" else partial(fusion.RULES[str(name)], **options)
            for name, options in config.fusion.items()
        }

    @property
    def start(self) -> dict[str, Any]:
        """The preset's values of what is searched, moved into the space where they lie outside."""
        bounds = self.config.space.items()
        return {key: type(b.low)(min(max(self.preset[key], b.low), b.high)) for key, b in bounds}

    def run(self, study: optuna.Study, console: Console) -> None:
        """Rounds until the study has its number of trials."""
        if "none" not in study.user_attrs:
            study.set_user_attr("none", self._score([])[0]["none"])
        if not any(trial.params == self.start for trial in complete(study)):
            study.enqueue_trial(self.start)
        columns = "trials", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), "{task.fields[best]}"
        with Progress(*columns, console=console, transient=True) as progress:
            bar = progress.add_task("trials", total=self.config.trials, best="")
            while (missing := self.config.trials - len(complete(study))) > 0:
                best = f"best mIoU {100 * study.best_value:.2f} %" if complete(study) else ""
                progress.update(bar, completed=self.config.trials - missing, best=best)
                self._round(study, min(missing, self.config.per_lattice))

    def _round(self, study: optuna.Study, count: int) -> None:
        free = study.sampler
        trials = [study.ask()]
        settings = [self._suggest(trials[0])]
        shared = {key: value for key, value in trials[0].params.items() if key in SIGMAS}
        study.sampler = PartialFixedSampler(shared, free)
        for _ in range(count - 1):
            trials.append(study.ask())
            settings.append(self._suggest(trials[-1]))
        study.sampler = free
        for trial, found in zip(trials, self._score(settings)[1:], strict=True):
            best = max(found, key=lambda rule: found[rule])
            trial.set_user_attr("rules", found)
            trial.set_user_attr("fusion", best)
            study.tell(trial, found[best])

    def _suggest(self, trial: Trial) -> CRFParameters:
        values: dict[str, float] = {}
        for key, bounds in self.config.space.items():
            if isinstance(bounds.low, int):
                values[str(key)] = trial.suggest_int(str(key), bounds.low, bounds.high, log=bounds.get("log", False))
            else:
                value = trial.suggest_float(str(key), bounds.low, bounds.high, log=bounds.get("log", False))
                values[str(key)] = float(f"{value:.4g}")  # as the preset will say it
        return presets.parameters({**self.preset, **values})

    def _score(self, settings: list[CRFParameters]) -> list[dict[str, float]]:
        """MIoU of the network alone, under "none", then per setting of each rule."""
        models = tuple(DenseCRF(parameters, self.config.guidance) for parameters in settings)
        summed: dict[tuple[int, str], Any] = {}
        for index in range(len(self.images)):
            probs, rgb, target = self.images[index]
            probs = probs.to(self.engine.device)
            after = self.engine.submit([probs], [rgb], models).result()[0] if models else []
            found = {(0, "none"): Variant().labels(probs, None)}
            for number, answer in enumerate(after, start=1):
                found |= {
                    (number, name): Variant(None, rule).labels(probs, answer) for name, rule in self.rules.items()
                }
            for key, labels in found.items():
                summed[key] = summed.get(key, 0) + confusion_matrix(labels.cpu(), target, len(VOC_CLASSES)).numpy()
        rows: list[dict[str, float]] = [{} for _ in range(len(settings) + 1)]
        for (number, name), matrix in summed.items():
            rows[number][name] = scores(matrix).miou
        return rows


def complete(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """The trials that were scored."""
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
