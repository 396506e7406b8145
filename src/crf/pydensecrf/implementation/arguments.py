"""What the drop-in takes: numbers, arrays and choices, checked before anything is computed."""

import operator
from collections.abc import Sequence
from enum import IntEnum
from numbers import Number
from typing import Any

import numpy as np

from ...errors import CRFError
from ...model import FloatArray


def numbers(values: Any, name: str, dimensions: int | None) -> FloatArray:
    """Numbers as float32; not copied if they are that already."""
    if values is None:
        raise TypeError(f"{name} must be an array, not None")
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise CRFError(f"{name} must hold real numbers; got {array.dtype}.")
    if dimensions is not None and array.ndim != dimensions:
        raise CRFError(f"{name} must have {dimensions} dimensions; got {array.ndim}.")
    return np.asarray(array, dtype=np.float32)


def gains(compat: Any, labels: int) -> FloatArray:
    """What a label receives, of what pydensecrf calls compatibility: a number attracts, the others are energies."""
    if isinstance(compat, Number):
        found = np.asarray(compat, dtype=np.float32)
    else:
        energies = numbers(compat, "compat", None)
        if energies.ndim not in (1, 2):
            raise CRFError(f"compat must be a number, a vector or a matrix; got {energies.ndim} dimensions.")
        if energies.shape != (labels,) * energies.ndim:
            raise CRFError(f"compat must be a number, or be {(labels,)} or {(labels, labels)}; got {energies.shape}.")
        found = -energies if energies.ndim == 1 else -(energies + energies.T) / 2
    if not np.isfinite(found).all():
        raise CRFError("compat must be finite.")
    return np.ascontiguousarray(found) if found.ndim else found


def sigmas(values: Any, count: int, name: str) -> tuple[float, ...]:
    """So many standard deviations; as in pydensecrf, further ones are ignored."""
    found: Sequence[Any] = (values,) * count if isinstance(values, Number) else values
    taken = tuple(float(found[i]) for i in range(count))
    if any(not abs(sigma) > 0 for sigma in taken):  # NaN, too
        raise CRFError(f"{name}={values}: a standard deviation must be a number other than 0.")
    return taken


def choice(kind: type[IntEnum], value: Any) -> int:
    """The number of one of the choices."""
    number = operator.index(value)
    if number not in list(kind):
        raise CRFError(f"{number} is no {kind.__name__}; there are {', '.join(f'{one.name} = {one}' for one in kind)}.")
    return number
