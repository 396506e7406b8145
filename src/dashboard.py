"""Weights & Biases: the only module that imports it."""

import netrc
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlparse

import numpy as np
import wandb
from lightning.pytorch.loggers import WandbLogger
from omegaconf import DictConfig, OmegaConf

from src.data.voc import VOC_CLASSES
from src.runs import RunFolder, replacing
from src.scoring import Matrix, scores
from src.variants import Scored

_LABELS = dict(enumerate(VOC_CLASSES)) | {255: "void"}


@contextmanager
def wandb_logger(config: DictConfig, folder: RunFolder) -> Iterator[WandbLogger]:
    """A W&B run that never prompts and is always finished, as failed where the block raises.

    Online where a key is at hand (WANDB_API_KEY or netrc), else offline with a word on how to upload it later.
    """
    os.environ.setdefault("WANDB_SILENT", "true")
    mode = os.environ.get("WANDB_MODE") or config.logger.mode
    if mode == "online" and not _has_key():
        print(
            f"W&B: no API key, so this run stays offline; to upload it later: wandb sync {folder.path}/wandb/offline-*"
        )
        mode = "offline"
    run = wandb.init(
        project=config.logger.project,
        entity=config.logger.entity,
        group=config.logger.group,
        tags=list(config.logger.tags),
        name=folder.path.name,
        id=_run_id(folder),
        resume="allow" if mode == "online" else None,
        dir=folder.path,
        mode=mode,  # type: ignore[arg-type]  # checked by W&B
        config=OmegaConf.to_container(config, resolve=True),  # type: ignore[arg-type]
        settings=wandb.Settings(console="off", disable_git=True),
    )
    failed = True
    try:
        yield WandbLogger(experiment=run)
        failed = False
    finally:
        run.finish(exit_code=int(failed))


def log_panel(run: Any, chosen: Sequence[str], image: Scored) -> None:
    """A chosen image with the truth and every variant as mask overlays that can be switched on and off."""
    if image.id not in chosen:
        return
    masks = {"truth": image.target.numpy(), **{name: labels.numpy() for name, labels in image.labels.items()}}
    overlays = {name: {"mask_data": mask.astype(np.uint8), "class_labels": _LABELS} for name, mask in masks.items()}
    run.log({f"panels/{image.id}": wandb.Image(image.rgb, masks=overlays, caption=image.id)})


def log_scores(run: Any, matrices: Mapping[str, Matrix]) -> None:
    """Per variant IoU per class as a table, and the confusion matrix as shares of the true class."""
    rows = []
    for name, stack in matrices.items():
        result = scores(stack)
        run.summary[f"test/miou/{name}"] = result.miou
        run.summary[f"test/pixel_accuracy/{name}"] = result.pixel_accuracy
        rows += [[name, label, float(iou)] for label, iou in zip(VOC_CLASSES, result.iou, strict=True)]
        total = stack.sum(0)
        shares = total / np.maximum(total.sum(1, keepdims=True), 1)
        cells = [[VOC_CLASSES[i], *map(float, shares[i])] for i in range(len(VOC_CLASSES))]
        run.log({f"confusion/{name}": wandb.Table(["truth", *VOC_CLASSES], cells)})
    run.log({"iou_per_class": wandb.Table(["variant", "class", "iou"], rows)})


def _run_id(folder: RunFolder) -> str:
    """One id per run folder: a resumed run goes on under it, an evaluation or a repetition has its own."""
    if not folder.dashboard_id.exists():
        with replacing(folder.dashboard_id) as temporary:
            temporary.write_text(secrets.token_hex(4))
    return folder.dashboard_id.read_text()


def _has_key() -> bool:
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlparse(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    try:
        return netrc.netrc().authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False
