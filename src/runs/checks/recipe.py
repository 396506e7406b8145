"""Checks of how a network learns: its loss; epochs and batches, optimiser and schedule, augmentation. No torch."""

import re
from typing import Any

from omegaconf import DictConfig, OmegaConf

from src.core.errors import InputError
from src.core.values import (
    check_config,
    check_flag,
    check_keys,
    check_number,
    check_text,
    choice,
    either,
    many,
    number,
    parts,
    whole,
)

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
    "OneCycleLR": "total_steps",
}
EPOCHS = 100_000  # no training has so many; more is a slip of the finger
NORMAL = (0.05, 8.0)  # factors by which an image is resized


def _scale(key: str, value: Any) -> None:
    many(number(*NORMAL), 2, 2)(key, value)
    if value[0] > value[1]:
        raise InputError(f"{key}: the factor {value[0]} lies above {value[1]}; give the smaller one first.")


AUGMENT = parts(
    {
        "crop": whole(1, 4096),
        "scale": _scale,
        "flip": number(0, 1),
        "squash": check_flag,
        "jitter": parts(
            {},
            {
                "brightness": number(0, 1),
                "contrast": number(0, 1),
                "saturation": number(0, 1),
                "hue": number(0, 0.5),
            },
        ),
    }
)
SCORING = {  # what scoring reads of a recipe, too
    "protocol": choice(*PROTOCOLS),
    "batch_size": whole(2, 10_000, "BatchNorm of the ASPP's pooling needs two images"),
    "augment": AUGMENT,
}
OPTIMIZER = parts(  # what all have in common; torch checks the other options when it makes the optimiser
    {"name": choice(*OPTIMIZERS), "lr": number(0, 1e38, within=True)},
    {"weight_decay": number(0, 1000), "momentum": number(0, 1), "fused": check_flag},
    more=True,
)
SCHEDULER = parts(
    {"name": choice(*SCHEDULERS)},
    {"factor": number(0, 1, within=True), "patience": whole(0, EPOCHS), "power": number(0, 100)},
    more=True,
)
RECIPE = parts(
    {
        "name": check_text,
        **SCORING,
        "epochs": whole(0, EPOCHS),
        "optimizer": OPTIMIZER,
        "new_layers_lr_factor": number(0, 1e6, within=True),
        "scheduler": either((None,), SCHEDULER),
        "monitor": check_text,
        "val_every": whole(1, EPOCHS),
        "early_stopping": either((None,), whole(1, EPOCHS, "validations")),
        "gradient_clip": either((None,), number(0, 1e9, within=True)),
        "accumulate": whole(1, 10_000),
        "ema": either((None,), number(0, 1, within=True)),
        "freeze_batchnorm": check_flag,
    }
)


def check_recipe(recipe: DictConfig) -> None:
    """Raise InputError for a recipe that cannot be trained with."""
    check_config(recipe, RECIPE, "recipe")


def check_loss(loss: Any, where: str = "loss", *, number: int) -> list[Any]:
    """The names of a loss and of its terms for `number` classes; raises InputError if nothing can be learned with it.

    The options of a plugin's loss are its own, and so are their checks.
    """
    if not OmegaConf.is_dict(loss):
        raise InputError(f"{where}={loss}: must be a loss with its options, such as {{name: dice}}.")
    name = loss.get("name")
    if name == "focal":
        check_number(f"{where}.gamma", loss.get("gamma"), 0)
    if name in ("cross_entropy", "focal") and loss.get("class_weights") is not None:
        _class_weights(f"{where}.class_weights", loss.class_weights, number)
    return [name, *_terms(f"{where}.terms", loss.get("terms"), number)] if name == "combined" else [name]


def _class_weights(where: str, weights: Any, number: int) -> None:
    if not OmegaConf.is_list(weights) or len(weights) != number:
        raise InputError(f"{where}={weights}: must be null or a list of {number} numbers, one per class.")
    for i, weight in enumerate(weights):
        check_number(f"{where}[{i}]", weight, 0)
    if not any(weights):
        raise InputError(f"{where}: all are 0, so that nothing would be learned; give at least one class a weight.")


def _terms(where: str, terms: Any, number: int) -> list[Any]:
    if not OmegaConf.is_dict(terms) or not terms:
        raise InputError(f"{where}={terms}: must name at least one term; see conf/loss/combined.yaml.")
    names = []
    for key, term in terms.items():
        here = f"{where}.{key}"
        if key == "loss" or not re.fullmatch(r"\w[\w-]*", str(key)):
            raise InputError(f"{here}: a term's name consists of letters, digits, _ and -, and \"loss\" is the sum's.")
        if not OmegaConf.is_dict(term):
            raise InputError(f"{here}={term}: must have a weight and a loss; see conf/loss/combined.yaml.")
        check_keys(here, term, ("weight", "loss"))
        check_number(f"{here}.weight", term.get("weight"), 0)
        names += check_loss(term.get("loss"), f"{here}.loss", number=number)
    if not any(term.weight for term in terms.values()):
        raise InputError(f"{where}: all weights are 0, so that nothing would be learned; give one a weight above 0.")
    return names
