"""Runs on Weights & Biases: how they start and end, and what is logged about a scored network. Imports no torch."""

from __future__ import annotations

import netrc
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlparse
from urllib.request import urlopen

import numpy as np
import wandb
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from src.core.errors import InputError
from src.core.files.whole import replacing
from src.crf.model import Image
from src.data.classes import Classes, Labels
from src.runs.folder import RunFolder
from src.scoring.metrics import Matrix, scores, trimap_miou

_NO_TAGS = ("table", "logger", "runs", "jobs", "resume", "overwrite", "panels", "hydra", "options", "output")
_PATIENCE = 5.0  # seconds for an answer of the server
_LONGEST_TAG = 64  # characters; W&B refuses longer ones


@contextmanager
def dashboard_run(config: DictConfig, folder: RunFolder, *, group: str | None = None) -> Iterator[Any]:
    """A W&B run that never prompts and is always finished; it is marked as failed if the block raises.

    Online if there is a key (WANDB_API_KEY or netrc), else offline, with a message on how to upload it later. Its job
    type is the command, its group is the table, its tags are what a sweep varies (without a sweep, all typed words).
    """
    os.environ.setdefault("WANDB_SILENT", "true")
    mode = mode_of(config)
    if mode == "offline" and config.logger.mode == "online":
        why = f"{_address()} cannot be reached" if _has_key() else "no API key"
        print(f"W&B: {why}, so this run stays offline; to upload it later: wandb sync {folder.path}/wandb/offline-*")
    try:
        run = wandb.init(
            project=config.logger.project,
            entity=config.logger.entity,
            group=config.logger.group or group or (config.get("table") or {}).get("name"),
            job_type=HydraConfig.get().job.config_name,
            tags=[*config.logger.tags, *_axes()],
            name=folder.path.name,
            id=_run_id(folder),
            resume="allow" if mode == "online" else None,
            dir=folder.path,
            mode=mode,  # type: ignore[arg-type]  # checked by W&B
            config=OmegaConf.to_container(config, resolve=True),  # type: ignore[arg-type]
            settings=wandb.Settings(console="off", disable_git=True),
        )
    except (wandb.Error, ValueError) as error:  # a ValueError for a key that is no key
        raise InputError(f"W&B: {error}; log without a server with logger.mode=offline, or with logger=csv.") from error
    failed = True
    try:
        yield run
        failed = False
    finally:
        run.finish(exit_code=int(failed))


def mode_of(config: DictConfig) -> str:
    """Online, offline or disabled: from the environment, else from the config.

    Never online without a key or without a network: W&B would wait for a minute and a half and then end the training.
    """
    mode: str = os.environ.get("WANDB_MODE") or config.logger.mode
    return "offline" if mode == "online" and not (_has_key() and _is_reached(_address())) else mode


def log_panel(run: Any, image_id: str, rgb: Image, masks: Mapping[str, Labels], *, classes: Classes) -> None:
    """An image (H, W, 3) with masks (H, W) as overlays that a reader can switch on and off."""
    if len(classes) > 255:  # W&B's masks have 8 bits
        run.log({f"panels/{image_id}": wandb.Image(rgb, caption=image_id)})
        return
    labels = dict(enumerate(classes.names)) | {classes.void: "void"}
    overlays = {name: {"mask_data": mask, "class_labels": labels} for name, mask in masks.items()}
    run.log({f"panels/{image_id}": wandb.Image(rgb, masks=overlays, caption=image_id)})


def log_scores(run: Any, matrices: Mapping[str, Matrix], trimaps: Mapping[str, Any], classes: Sequence[str]) -> None:
    """Log the final scores as the run's summary; per variant, IoU per class and confusion as shares of the truth."""
    rows = []
    for name, stack in matrices.items():
        result = scores(stack)
        run.summary[f"test/miou/{name}"] = result.miou
        run.summary[f"test/pixel_accuracy/{name}"] = result.pixel_accuracy
        for radius, value in trimap_miou(trimaps[name]).items():
            run.summary[f"test/trimap_miou_{radius}px/{name}"] = value
        rows += [[name, label, float(iou)] for label, iou in zip(classes, result.iou, strict=True)]
        total = stack.sum(0)
        shares = total / np.maximum(total.sum(1, keepdims=True), 1)
        cells = [[name, *map(float, share)] for name, share in zip(classes, shares, strict=True)]
        run.log({f"confusion/{name}": wandb.Table(["truth", *classes], cells)})
    run.log({"iou_per_class": wandb.Table(["variant", "class", "iou"], rows)})


def log_comparison(
    run: Any, columns: list[str | int], rows: list[list[Any]], folder: Path, figures: Sequence[Path]
) -> None:
    """Log a report's table and figures, and its files as an artifact.

    Args:
        run: the W&B run.
        columns: headings.
        rows: values.
        folder: of the report.
        figures: PNG files.
    """
    run.log({"comparison": wandb.Table(columns, rows)})
    run.log({f"figures/{path.stem}": wandb.Image(str(path)) for path in figures})
    artifact = wandb.Artifact(f"report-{folder.name}", type="report")
    for file in sorted(folder.glob("*.*")):
        if file.is_file() and file != RunFolder(folder).dashboard_id:
            artifact.add_file(str(file))
    run.log_artifact(artifact)


def _axes() -> list[str]:
    """The overrides of this job that its table sweeps; without a table, all that are part of the question."""
    hydra = HydraConfig.get()
    swept = hydra.sweeper.get("params") or {}
    words = [word for word in hydra.overrides.task if len(word) <= _LONGEST_TAG]
    if swept:
        return [word for word in words if word.partition("=")[0] in swept]
    return [word for word in words if word.partition("=")[0].partition(".")[0] not in _NO_TAGS]


def _run_id(folder: RunFolder) -> str:
    """One id per run folder: a resumed run keeps it, an evaluation or a repeated run gets its own."""
    if not folder.dashboard_id.exists():
        with replacing(folder.dashboard_id) as temporary:
            temporary.write_text(secrets.token_hex(4), encoding="utf-8")
    return folder.dashboard_id.read_text(encoding="utf-8")


def _has_key() -> bool:
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlparse(_address()).hostname or ""
    try:
        return netrc.netrc().authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False


def _address() -> str:
    return os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")


@cache
def _is_reached(address: str) -> bool:
    """Whether a server answers at all, whatever it says, within some seconds."""
    try:
        urlopen(address, timeout=_PATIENCE).close()
    except HTTPError:
        return True
    except (OSError, ValueError, HTTPException):
        return False
    return True
