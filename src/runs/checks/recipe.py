"""Checks of a recipe: epochs and batches, optimiser and schedule, augmentation. No torch."""

from typing import Any

from omegaconf import DictConfig, OmegaConf

from src.core.errors import InputError
from src.core.values import check_choice, check_flag, check_keys, check_number, check_whole

PROTOCOLS = ("voc", "squash224")
OPTIMIZERS = (  # those of torch.optim that train a network step by step
    *(
        "SGD",
        "Adam",
        "AdamW",
        "NAdam",
        "RAdam",
        "Adamax",
        "Adagrad",
        "Adadelta",
        "Adafactor",
        "RMSprop",
        "ASGD",
        "Rprop",
    ),
)
SCHEDULERS = {  # of torch.optim.lr_scheduler: the argument for the number of steps; None: waits for a plateau
    "ReduceLROnPlateau": None,
    "PolynomialLR": "total_iters",
    "LinearLR": "total_iters",
    "ConstantLR": "total_iters",
    "CosineAnnealingLR": "T_max",
}


def check_recipe(recipe: DictConfig) -> None:
    """Raise InputError for a recipe that cannot be trained with."""
    check_choice("recipe.protocol", recipe.protocol, PROTOCOLS)
    check_whole("recipe.epochs", recipe.epochs, least=0)
    check_whole("recipe.batch_size", recipe.batch_size, least=2, why="BatchNorm of the ASPP's pooling needs two images")
    check_whole("recipe.val_every", recipe.val_every, least=1)
    check_whole("recipe.accumulate", recipe.accumulate, least=1)
    check_number("recipe.new_layers_lr_factor", recipe.new_layers_lr_factor, 0, within=True)
    if recipe.early_stopping is not None:
        check_whole("recipe.early_stopping", recipe.early_stopping, least=1, why="validations, or null")
    if recipe.ema is not None:
        check_number("recipe.ema", recipe.ema, 0, 1, within=True)
    if recipe.gradient_clip is not None:
        check_number("recipe.gradient_clip", recipe.gradient_clip, 0, within=True)
    check_flag("recipe.freeze_batchnorm", recipe.freeze_batchnorm)
    _optimizer(recipe.optimizer)
    if recipe.scheduler is not None:
        _scheduler(recipe.scheduler)
    _augment(recipe.augment)


def _optimizer(optimizer: DictConfig) -> None:
    """Check what all optimisers have in common; torch checks the other options when it makes the optimiser."""
    _check_parts("recipe.optimizer", optimizer, ("name", "lr"))
    check_choice("recipe.optimizer.name", optimizer.name, OPTIMIZERS)
    check_number("recipe.optimizer.lr", optimizer.lr, 0, within=True)
    if "weight_decay" in optimizer:
        check_number("recipe.optimizer.weight_decay", optimizer.weight_decay, 0)
    if "momentum" in optimizer:
        check_number("recipe.optimizer.momentum", optimizer.momentum, 0, 1)
    if "fused" in optimizer:
        check_flag("recipe.optimizer.fused", optimizer.fused)


def _scheduler(scheduler: DictConfig) -> None:
    _check_parts("recipe.scheduler", scheduler, ("name",))
    check_choice("recipe.scheduler.name", scheduler.name, SCHEDULERS)
    if "factor" in scheduler:
        check_number("recipe.scheduler.factor", scheduler.factor, 0, 1, within=True)
    if "patience" in scheduler:
        check_whole("recipe.scheduler.patience", scheduler.patience, least=0)
    if "power" in scheduler:
        check_number("recipe.scheduler.power", scheduler.power, 0)


def _augment(augment: DictConfig) -> None:
    where = "recipe.augment"
    check_whole(f"{where}.crop", augment.crop, least=1)
    if not OmegaConf.is_list(augment.scale) or len(augment.scale) != 2:
        raise InputError(f"{where}.scale={augment.scale}: must be two factors, such as [0.5,2.0].")
    low, high = augment.scale
    check_number(f"{where}.scale[0]", low, 0, within=True)
    check_number(f"{where}.scale[1]", high, low)
    check_number(f"{where}.flip", augment.flip, 0, 1)
    check_flag(f"{where}.squash", augment.squash)
    _check_parts(f"{where}.jitter", augment.jitter, ())
    check_keys(f"{where}.jitter", augment.jitter, ("brightness", "contrast", "saturation", "hue"))
    for key, value in augment.jitter.items():
        check_number(f"{where}.jitter.{key}", value, 0, 0.5 if key == "hue" else 1)


def _check_parts(where: str, node: Any, needed: tuple[str, ...]) -> None:
    """Raise InputError unless a node has parts, and all needed ones."""
    if not OmegaConf.is_dict(node):
        raise InputError(f"{where}={node}: must have parts, such as {where}.{needed[-1] if needed else 'hue'}=VALUE.")
    for key in needed:
        if key not in node:
            raise InputError(f"{where}.{key}: is missing; see conf/recipe/adam_plateau.yaml.")
