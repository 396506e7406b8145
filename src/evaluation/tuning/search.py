"""Search for CRF parameters with Optuna: which images, which settings, what is written.

Building lattices costs most, and they depend only on the standard deviations. So in a round, Optuna chooses one setting
freely, the others have the same standard deviations, and all settings of a round run together on an image.
"""

import hashlib
import json
import math
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import optuna
import torch
from omegaconf import DictConfig, OmegaConf
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import PartialFixedSampler, TPESampler
from optuna.storages import RDBStorage
from optuna.trial import Trial, TrialState
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from src.core.errors import InputError
from src.crf.engines import Engine
from src.crf.model import CRFParameters, DenseCRF, Image
from src.data.config import classes_of
from src.data.datamodule import SegmentationDataModule
from src.evaluation.scoring.logits import read_resized
from src.evaluation.scoring.results import choose
from src.evaluation.source import Source
from src.scoring import presets
from src.scoring.confusion import confusion_matrix
from src.scoring.fusion import bound, most_probable
from src.scoring.metrics import scores
from src.scoring.variants import Fusion, Variant

Key = TypeVar("Key")
STUDY = "study.sqlite3"
SIGMAS = ("spatial_sigma", "bilateral_sigma_xy", "bilateral_sigma_rgb")


def choose_images(config: DictConfig, data: SegmentationDataModule) -> list[str]:
    """Ids to tune on; of val at most half, so that images are left to score."""
    available = data.ids(config.split)
    if config.split == "val" and config.images > len(available) // 2:
        raise InputError(
            f"images={config.images}: val has {len(available)} images, and tuning images are not scored afterwards; "
            f"use images={len(available) // 2} or less, or split=train."
        )
    return choose(available, config.images)


def identity(
    config: DictConfig, settled: DictConfig, source: Source, ids: list[str], data: SegmentationDataModule
) -> str:
    """A hash of the question of a study; a study must not mix trials of different questions, networks or images."""
    keys = ("space", "fusion", "guidance", "split")
    content = {key: OmegaConf.to_object(config[key]) if key in ("space", "fusion") else config[key] for key in keys}
    crf = OmegaConf.masked_copy(settled.crf, [key for key in settled.crf if key != "batch"])
    content |= {"crf": OmegaConf.to_object(crf), "data": settled.data.name, "source": source.name, "ids": ids}
    content |= {"protocol": settled.recipe.protocol, "digest": source.digest(), "images": data.fingerprint_of(ids)}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]


def folder(config: DictConfig, settled: DictConfig, source: Source, identity: str) -> Path:
    """`output`, else a folder under `runs`, named after the question."""
    name = f"tune-{source.path.stem}-{settled.data.name}-{identity}"
    return Path(config.output) if config.output is not None else Path(config.runs) / name


def open_study(folder: Path, identity: str, seed: int) -> optuna.Study:
    """The study in a folder, new or resumed; trials that were running when an earlier call ended count as failed."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.filterwarnings("ignore", category=ExperimentalWarning)  # PartialFixedSampler, for years now
    if odd := sorted({*"?#%{}"} & {*str((folder / STUDY).resolve())}):
        raise InputError(f"{folder}: the path of a search must be without {' '.join(odd)}; use output=FOLDER.")
    # SQLite survives a kill at any moment; the lock of Optuna's journal file does not.
    storage = RDBStorage(f"sqlite:///{(folder / STUDY).resolve()}")
    study = optuna.create_study(storage=storage, study_name="crf", direction="maximize", load_if_exists=True)
    if study.user_attrs.get("identity", identity) != identity:
        raise InputError(f"{folder}: holds a search of another question; choose another output=FOLDER.")
    study.set_user_attr("identity", identity)
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
    study.sampler = TPESampler(seed=seed + len(study.trials), multivariate=True)
    return study


class Images:
    """The tuning images, read again for each round: reading is much faster than a round.

    Args:
        ids: of the images.
        logits: folder of their logits.
        data: where image and truth are read from.
    """

    def __init__(self, ids: list[str], logits: Path, data: SegmentationDataModule) -> None:
        self.ids = ids
        self.logits = logits
        self.data = data
        self.samples = data.samples(ids)

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, Image, torch.Tensor]]:
        """Probabilities (C, H, W), rgb (H, W, 3) and truth (H, W) of each image."""
        for index, image_id in enumerate(self.ids):
            sample = self.samples[index]
            classes = self.data.folder.classes.names
            logits = read_resized(self.logits, image_id, sample["mask"], classes, self.data.origin(image_id))
            yield logits.softmax(0), sample["rgb"].numpy(), sample["mask"].long()


class Search:
    """Asks Optuna for settings and scores them with every fusion rule.

    Args:
        config: composed from `conf/tune.yaml`.
        settled: the run's config, with the preset at which the search starts.
        images: the tuning images.
        engine: runs the CRFs.
    """

    def __init__(self, config: DictConfig, settled: DictConfig, images: Images, engine: Engine) -> None:
        self.config = config
        self.preset = settled.crf
        self.data_name = settled.data.name
        self.images = images
        self.engine = engine
        self.num_classes = len(classes_of(settled.data))
        background = classes_of(settled.data).background
        self.rules: dict[str, Fusion | None] = {
            str(name): None if name == "alone" else bound(str(name), options, background, f"fusion.{name}")
            for name, options in config.fusion.items()
        }

    @property
    def start(self) -> dict[str, Any]:
        """The preset's values for the searched keys, moved into the space if they lie outside."""
        bounds = self.config.space.items()
        return {key: type(b.low)(min(max(self.preset[key], b.low), b.high)) for key, b in bounds}

    def run(self, study: optuna.Study, console: Console) -> None:
        """Run rounds until the study has its number of trials."""
        if "none" not in study.user_attrs:
            none = self._miou(lambda probs, rgb: {"none": most_probable(probs)})
            if math.isnan(none["none"]):
                raise InputError(
                    f"none of the {len(self.images)} images of the search has a labelled pixel; images=NUMBER takes "
                    "more."
                )
            study.set_user_attr("none", none["none"])
        if not any(trial.params == self.start for trial in complete(study)):
            study.enqueue_trial(self.start)
        columns = "trials", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), "{task.fields[best]}"
        with Progress(*columns, console=console, transient=True) as progress:
            bar = progress.add_task("trials", total=self.config.trials, best="")
            while (done := len(complete(study))) < self.config.trials:
                best = f"best mIoU {100 * study.best_value:.2f} %" if done else ""
                progress.update(bar, completed=done, best=best)
                self._round(study, min(self.config.trials - done, self.config.per_lattice))

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
        for trial, found in zip(trials, self._score(settings), strict=True):
            best = max(found, key=lambda rule: found[rule])
            trial.set_user_attr("rules", found)
            trial.set_user_attr("fusion", best)
            study.tell(trial, found[best])

    def _suggest(self, trial: Trial) -> CRFParameters:
        for key, bounds in self.config.space.items():
            suggest = trial.suggest_int if isinstance(bounds.low, int) else trial.suggest_float
            suggest(str(key), bounds.low, bounds.high, log=bounds.get("log", False))
        return presets.parameters({**self.preset, **values(trial.params)})

    def _score(self, settings: list[CRFParameters]) -> list[dict[str, float]]:
        """Per setting, the mIoU of each fusion rule."""
        models = tuple(DenseCRF(parameters, self.config.guidance) for parameters in settings)

        def predict(probs: torch.Tensor, rgb: Image) -> dict[tuple[int, str], torch.Tensor]:
            with presets.crf_told():
                answers = self.engine.submit([probs], [rgb], models).result()[0]
            return {
                (number, name): Variant(None, rule).labels(probs, after)
                for number, after in enumerate(answers)
                for name, rule in self.rules.items()
            }

        found = self._miou(predict)
        return [{name: found[number, name] for name in self.rules} for number in range(len(settings))]

    def _miou(self, predict: Callable[[torch.Tensor, Image], dict[Key, torch.Tensor]]) -> dict[Key, float]:
        """Per key, the mIoU over all images; `predict` makes labels from the probabilities and the rgb of one image."""
        summed: dict[Key, Any] = {}
        for probs, rgb, target in self.images:
            for key, labels in predict(probs.to(self.engine.device), rgb).items():
                summed[key] = summed.get(key, 0) + confusion_matrix(labels.cpu(), target, self.num_classes).numpy()
        return {key: scores(matrix).miou for key, matrix in summed.items()}


def values(params: dict[str, Any]) -> dict[str, Any]:
    """Optuna's values, rounded to four digits; they are tried and written in this form."""
    return {key: value if isinstance(value, int) else float(f"{value:.4g}") for key, value in params.items()}


def complete(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """The trials that were scored."""
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
