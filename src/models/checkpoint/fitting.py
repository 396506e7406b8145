"""Do weights fit a network: names, shapes, finite numbers."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from src.core.errors import InputError
from src.core.values import shown

NAMED = 4  # keys that an error message lists


def check_weights(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: Path) -> None:
    """Raise InputError unless weights have the names and shapes of a network's, and are finite numbers.

    Args:
        found: the weights.
        expected: those of the network that they are for; only names, shapes and types are read.
        path: where the weights come from.
    """
    misfit = misfits(found, expected)
    if misfit:
        raise InputError(f"{path}: its weights do not fit the network of its config; wrong keys: {misfit}.")
    for name, value in found.items():
        is_plain = value.layout is torch.strided and value.device.type == "cpu" and not value.is_complex()
        if not is_plain or value.is_floating_point() != expected[name].is_floating_point():
            raise InputError(f"{path}: {name} is of the type {value.dtype}, which is not that of a weight.")
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise InputError(f"{path}: {name} holds numbers that are not finite; a network with them labels nothing.")
        if name.endswith("running_var") and bool((value < 0).any()):
            raise InputError(f"{path}: {name} holds negative variances.")


def misfits(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], *, optional: str = "\0") -> str:
    """Which keys are missing, unexpected or of another shape, as text; empty if none is.

    Args:
        found: some weights.
        expected: what they should be.
        optional: end of the names that may be missing.
    """
    missing = [key for key in expected if key not in found and not key.endswith(optional)]
    unexpected = [shown(key) for key in found if key not in expected]
    misshapen = [
        f"{key} {tuple(found[key].shape)} instead of {tuple(expected[key].shape)}"
        for key in expected
        if key in found and found[key].shape != expected[key].shape
    ]
    return "; ".join(
        f"{len(keys)} {label} ({', '.join(keys[:NAMED])}{', ...' if len(keys) > NAMED else ''})"
        for label, keys in (("missing", missing), ("unexpected", unexpected), ("of another shape", misshapen))
        if keys
    )


def check_state(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], complaint: str) -> None:
    """Raise InputError, which begins with the complaint, unless names and shapes fit and all numbers are finite."""
    if problems := misfits(found, expected, optional="num_batches_tracked"):  # it is missing in files before 2018
        raise InputError(f"{complaint}; wrong keys: {problems}; choose the backbone it was trained with")
    if bad := next((key for key, value in found.items() if not bool(value.isfinite().all())), None):
        raise InputError(f"{complaint}; {bad} holds numbers that are not finite")
