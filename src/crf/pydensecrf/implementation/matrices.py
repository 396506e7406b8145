"""The matrices that pydensecrf's functions return: here, NumPy arrays of a class of its name."""

from typing import Any

import numpy as np

from ...model import FloatArray
from .arguments import numbers


class MatrixXf(np.ndarray):
    """A matrix of float32, (0, 0) if made without one; what NumPy computes from it are plain arrays and numbers."""

    def __new__(cls) -> "MatrixXf":
        """An empty matrix."""
        return np.zeros((0, 0), np.float32).view(cls)

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        """What an operation gives: no matrix of this class."""
        plain = np.asarray(array)
        return plain[()] if return_scalar else plain

    def __array_function__(self, *call: Any) -> Any:
        """What NumPy's functions give: no matrix of this class either."""
        found = super().__array_function__(*call)
        return np.asarray(found) if isinstance(found, MatrixXf) else found


class VectorXf(MatrixXf):
    """A vector of float32."""

    def __new__(cls) -> "VectorXf":
        """An empty vector."""
        return np.zeros(0, np.float32).view(cls)


def matrixXf(arr: Any) -> MatrixXf:  # noqa: N802 - a name of pydensecrf
    """A copy of a 2-D array."""
    return wrap(np.array(numbers(arr, "arr", 2), order="C"))


def vectorXf(arr: Any) -> VectorXf:  # noqa: N802 - a name of pydensecrf
    """A copy of a 1-D array."""
    return np.array(numbers(arr, "arr", 1)).view(VectorXf)


def wrap(array: FloatArray) -> MatrixXf:
    """The same array as a `MatrixXf`."""
    return array.view(MatrixXf)
