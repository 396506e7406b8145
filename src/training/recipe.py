"""From a config to the task that trains: with its loss, optimiser and schedule."""

from collections.abc import Callable
from typing import Any

import torch
from omegaconf import DictConfig
from torch.optim import Optimizer, lr_scheduler

from src.core.errors import InputError
from src.core.values import as_dict
from src.data.config import classes_of
from src.evaluation import build
from src.evaluation.machine.hardware import Hardware
from src.models import weights
from src.models.tables import LOSSES
from src.runs.checks.recipe import SCHEDULERS
from src.training.task import SegmentationTask, mode_of


def training_hardware(config: DictConfig) -> Hardware:
    """The machine's hardware; raises InputError if its processes cannot share a batch."""
    size, crop = config.recipe.batch_size, config.recipe.augment.crop
    found = build.hardware(config, batch=size * crop * crop * 4)  # bytes: red, green, blue, mask
    least = 1 if found.device == "cuda" else 2  # on CPUs, BatchNorm is not joined over processes
    if found.processes > 1 and (size % found.processes or size // found.processes < least):
        raise InputError(
            f"recipe.batch_size={size}: all {found.processes} processes share it, so it must be a multiple "
            f"of {found.processes}, with at least {least} images for each process."
        )
    return found


def batches(recipe: DictConfig, machine: Hardware) -> str:
    """A text on how processes share a batch and how batches are accumulated; empty for one process and one batch."""
    size, said = recipe.batch_size, ""
    if machine.processes > 1:
        each = size // machine.processes
        said = f"; batch and learning rate are for all processes together: {size} images a step, {each} in each"
    if recipe.accumulate > 1:
        images = recipe.accumulate * size
        said += f"; the optimiser sees {images} images per step, BatchNorm only the {size} images of a batch"
    return said


def task(config: DictConfig, machine: Hardware, *, fingerprint: dict[str, str]) -> tuple[SegmentationTask, str]:
    """The module to train, and one line on where its weights come from.

    Args:
        config: resolved root config.
        machine: decides the memory format.
        fingerprint: of the data, for the checkpoint.
    """
    torch.manual_seed(config.seed)
    net = build.network(config)
    classes = classes_of(config.data)
    loaded = weights.load(net, config.backbone.weights, classes.names)
    recipe = config.recipe
    built = SegmentationTask(
        net,
        loss=LOSSES.make(as_dict(config.loss)),
        classes=classes.names,
        optimizer=optimizer(recipe.optimizer),
        scheduler=scheduler(recipe) if recipe.scheduler else None,
        monitor=recipe.monitor,
        new_layers_lr_factor=recipe.new_layers_lr_factor,
        pretrained=loaded.pretrained,
        mean=net.backbone.mean,
        std=net.backbone.std,
        seed=config.seed,
        channels_last=machine.channels_last,
        whole_channels_last=machine.whole_channels_last,
        compiled=config.trainer.compile,
        frozen_batchnorm=recipe.freeze_batchnorm,
        provenance={
            "config": as_dict(config),
            "classes": classes.plain(),
            "versions": build.versions(),
            "fingerprint": fingerprint,
            "weights": loaded.summary,
        },
    )
    return built, loaded.summary


def optimizer(chosen: DictConfig) -> Callable[[list[dict[str, Any]]], Optimizer]:
    """A function that makes the recipe's optimiser of `torch.optim` from parameter groups."""
    options = as_dict(chosen)
    made = getattr(torch.optim, options.pop("name"))
    return lambda groups: _made("optimizer", made, groups, **options)


def scheduler(recipe: DictConfig) -> Callable[[Optimizer, int], Any]:
    """A function that makes the recipe's scheduler from an optimiser and a number of steps."""
    options = as_dict(recipe.scheduler)
    name = options.pop("name")
    made, length = getattr(lr_scheduler, name), SCHEDULERS[name]
    if length is None:
        return lambda optimizer, steps: _made("scheduler", made, optimizer, mode=mode_of(recipe.monitor), **options)
    if name == "OneCycleLR":  # wants the rates at the top; they are those of the optimiser
        return lambda optimizer, steps: _made(
            "scheduler", made, optimizer, [group["lr"] for group in optimizer.param_groups], steps, **options
        )
    return lambda optimizer, steps: _made("scheduler", made, optimizer, **{length: steps}, **options)


def _made(key: str, make: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """What torch makes from a part of the recipe; if torch refuses, raises InputError with torch's message."""
    try:
        return make(*arguments, **options)
    except (TypeError, ValueError) as error:
        raise InputError(f"recipe.{key}: {error}.") from error
