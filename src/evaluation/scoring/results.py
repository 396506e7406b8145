"""The files that scoring writes: `results.json`, `confusion.npz` and panels."""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch.loggers import Logger, WandbLogger
from omegaconf import DictConfig
from torch import Tensor

from src.core import processes
from src.core.errors import InputError
from src.core.files.whole import replacing
from src.core.machine import usable_cores
from src.crf.model import Image, effective_sigma
from src.data.classes import Classes, Labels, label_type
from src.data.config import classes_of
from src.data.files.lists import read_ids
from src.evaluation.scoring.worst import Worst
from src.reporting.panels import as_png, panel
from src.runs.checks.schema import worst_count
from src.runs.folder import RunFolder
from src.scoring.metrics import boundary_iou, image_miou, margins, trimap_miou
from src.scoring.presets import tuned_on
from src.scoring.scorer import Observer, Scored, VariantScorer


def choose(ids: list[str], count: int) -> list[str]:
    """`count` ids spread evenly over the list: the same images in every run on the same data."""
    picks = np.linspace(0, len(ids) - 1, min(count, len(ids))).round().astype(int)
    return [ids[i] for i in picks]


def _chosen(panels: int | str, ids: list[str]) -> list[str]:
    """The ids that `panels` asks for: a number of them, or those of a list.

    Raises:
        InputError: an id of the list is not among `ids`.
    """
    if isinstance(panels, int):
        return choose(ids, panels)
    listed = read_ids(Path(panels))
    if strange := sorted({*listed} - {*ids}):
        raise InputError(f"panels={panels}: {strange[0]} is not among the {len(ids)} images that are scored.")
    return listed


def as_labels(labels: Tensor, classes: Classes) -> Labels:
    """Labels (H, W) in the type of masks, on the CPU."""
    found: Labels = labels.cpu().numpy().astype(label_type(len(classes)))
    return found


def drawn(image: Scored, classes: Classes) -> bytes:
    """The panel of an image with all variants, as a PNG file."""
    labels = {name: as_labels(found, classes) for name, found in image.labels.items()}
    return as_png(panel(image.rgb, image.target.numpy(), labels, classes), labels)


class Panels(Observer):
    """Draws the chosen images into `folder/ID.png`."""

    def __init__(self, folder: Path, chosen: list[str], classes: Classes) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.chosen = frozenset(chosen)
        self.classes = classes

    def __call__(self, image: Scored) -> None:
        """See `Observer`."""
        if image.id in self.chosen:
            with replacing(self.folder / f"{image.id}.png") as temporary:
                temporary.write_bytes(drawn(image, self.classes))


class Overlays(Observer):
    """At the end, passes the chosen images and their masks to the first process, for logging.

    Args:
        chosen: ids.
        log: takes an id, the image (H, W, 3), and masks (H, W) by name; None in the other processes.
        classes: of the labels.
    """

    def __init__(
        self, chosen: list[str], log: Callable[[str, Image, dict[str, Labels]], None] | None, classes: Classes
    ) -> None:
        self.chosen = chosen
        self.classes = classes
        self.log = log
        self.found: dict[str, tuple[Image, dict[str, Labels]]] = {}

    def __call__(self, image: Scored) -> None:
        """See `Observer`."""
        if image.id in self.chosen:
            tensors = {"truth": image.target, **image.labels}
            masks = {name: as_labels(labels, self.classes) for name, labels in tensors.items()}
            self.found[image.id] = (image.rgb, masks)

    def finish(self) -> None:
        """See `Observer`."""
        found = {key: value for part in processes.gather(self.found) for key, value in part.items()}
        if self.log is not None:
            for image_id in self.chosen:
                self.log(image_id, *found[image_id])


@dataclass(frozen=True)
class _Held:
    score: float
    rgb: Image
    truth: Labels
    labels: dict[str, Labels]


class Extremes(Observer):
    """Draws, per variant, the image on which it is best and the one on which it is worst.

    This is decided by the image's own mIoU: for `none` its value, for other variants the change against `none`. The
    pictures `folder/VARIANT-best.webp` and `VARIANT-worst.webp` are drawn at the end.
    """

    def __init__(self, folder: Path, variants: list[str], classes: Classes) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.variants = variants
        self.classes = classes
        self.held: dict[tuple[str, str], _Held] = {}

    def __call__(self, image: Scored) -> None:
        """See `Observer`."""
        found = {name: float(image_miou(margins(image.matrices[name])[None])[0]) for name in self.variants}
        for name in self.variants:
            score = found[name] - (found.get("none", 0.0) if name != "none" else 0.0)
            for end, signed in (("best", score), ("worst", -score)):
                if (name, end) not in self.held or signed > self.held[name, end].score:
                    shown = [key for key in dict.fromkeys(("none", name)) if key in self.variants]
                    labels = {key: as_labels(image.labels[key], self.classes) for key in shown}
                    if math.isfinite(signed):
                        truth = as_labels(image.target, self.classes)
                        self.held[name, end] = _Held(signed, image.rgb, truth, labels)

    def finish(self) -> None:
        """See `Observer`; the process that holds the most extreme image of a kind draws it."""
        everyone = processes.gather({key: held.score for key, held in self.held.items()})
        mine = []
        for key in self.held:
            scores = [theirs.get(key, -math.inf) for theirs in everyone]
            if scores.index(max(scores)) == processes.rank():
                mine.append(key)
        with ThreadPoolExecutor(usable_cores()) as pool:
            list(pool.map(self._draw, mine))

    def _draw(self, key: tuple[str, str]) -> None:
        held = self.held[key]
        with replacing(self.folder / f"{'-'.join(key)}.webp") as temporary:
            panel(held.rgb, held.truth, held.labels, self.classes).save(temporary, format="WEBP", quality=80)


def observers(config: DictConfig, folder: RunFolder, ids: list[str], loggers: list[Logger]) -> list[Observer]:
    """The observers that draw the chosen images: as picture files, and on W&B if they are known before the scoring."""
    worst = worst_count(config.panels)
    chosen = [] if worst else _chosen(config.panels, ids)
    if not chosen and not worst:
        return []
    variants = [str(name) for name in config.variants]
    classes = classes_of(config.data)
    panels = Panels(folder.panels, chosen, classes)
    found: list[Observer] = [
        Worst(folder.panels, worst, partial(drawn, classes=classes)) if worst else panels,
        Extremes(folder.panels / "extremes", variants, classes),
    ]
    if config.logger.name == "wandb" and chosen:
        from src.runs.wandb_run import log_panel

        runs = _dashboards(loggers)
        log = partial(log_panel, runs[0], classes=classes) if runs else None
        found.append(Overlays(chosen, log, classes))
    return found


def log_scores(loggers: list[Logger], scorer: VariantScorer, config: DictConfig) -> None:
    """Log the final scores to W&B, if it is on."""
    for run in _dashboards(loggers):
        from src.runs import wandb_run

        wandb_run.log_scores(run, scorer.matrices, scorer.trimaps, classes_of(config.data).names)


def _dashboards(loggers: list[Logger]) -> list[Any]:
    return [logger.experiment for logger in loggers if isinstance(logger, WandbLogger)]


def _sigmas(settled: DictConfig) -> dict[str, list[float]]:
    """Per variant with a CRF, the colour sigma with which raw guidance gives the same kernel, in 0..255 units."""
    return {
        str(name): effective_sigma(choice.guidance, (choice.get("crf") or settled.crf).bilateral_sigma_rgb)
        for name, choice in settled.variants.items()
        if choice and choice.get("guidance")
    }


def write(folder: RunFolder, settled: DictConfig, scorer: VariantScorer, **facts: Any) -> dict[str, Any]:
    """Write matrices and `results.json`; `facts` are further plain values. Returns the content of `results.json`."""
    classes = classes_of(settled.data)
    content = {
        "data": settled.data.name,
        "protocol": settled.recipe.protocol,
        "images": len(scorer.ids),
        "classes": classes.plain(),
        "variants": {
            name: {
                **result.as_dict(classes.names),
                "trimap_miou": trimap_miou(scorer.trimaps[name]),
                "boundary_iou": boundary_iou(scorer.boundaries[name]),
            }
            for name, result in scorer.scores().items()
        },
        "crf": {"name": settled.crf.name, "engine": settled.crf.engine, "effective_sigma_rgb": _sigmas(settled)},
        "left_out": {name: len(ids) for name, ids in tuned_on(settled).items()},
        **facts,
    }
    counts = (scorer.matrices, scorer.trimaps, scorer.boundaries)
    folder.write_results(content, scorer.ids, *(stack.rows() for stack in counts))
    return content
