"""Checks of a loss: its options, and the terms of a weighted sum. No torch."""

import re
from typing import Any

from omegaconf import OmegaConf

from src.core.errors import InputError
from src.core.values import check_keys, check_number


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
