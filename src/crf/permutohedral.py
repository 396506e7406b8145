"""What a permutohedral lattice is, for both back ends: constants, and names of vertices as integers. NumPy only.

Adams, Baek, Davis (2010): points of d dimensions are lifted into the hyperplane of d + 1 coordinates that sum to zero,
whose lattice cuts it into simplices of d + 1 vertices. Values are splatted from points to vertices with barycentric
weights, blurred along the d + 1 axes of the lattice, and sliced back to the points.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from src.core.errors import InputError


def scales(dimensions: int) -> tuple[np.float32, ...]:
    """Diagonal of the lifting matrix E (p. 5) for a filter of unit standard deviation (p. 6), in the reference's order.

    The order of operations in float32 decides in which simplex a point on a border lies, and a vertex that exists
    passes values on even when its weight is zero.
    """
    deviation = np.float32(np.sqrt(2.0 / 3.0) * (dimensions + 1))
    return tuple(np.float32(1.0 / np.sqrt((i + 2) * (i + 1)) * float(deviation)) for i in range(dimensions))


def alpha(dimensions: int) -> float:
    """Factor that makes up for what splatting, blurring with (1/2, 1, 1/2) and slicing add."""
    return float(1 / (1 + 2.0**-dimensions))


def strides(largest: Sequence[float], points: int = 1) -> npt.NDArray[np.int64]:
    """Factors that turn the first d coordinates of a vertex into one integer, its name.

    Names are linear in the coordinates: the neighbour of a vertex has its name plus a constant.

    Args:
        largest: per dimension the largest absolute value of the features.
        points: how many sets of points share the names, kept apart by multiples of `strides[d]`.

    Returns:
        (d + 1,) int64: the factors, then the number of names that one set of points can have.

    Raises:
        InputError: the lattice is so fine that names do not fit 63 bits.
    """
    dimensions = len(largest)
    scale = np.array(scales(dimensions), dtype=np.float64)
    lifted = np.asarray(largest, dtype=np.float64) * scale
    found = [1]
    for i in range(dimensions):
        bound = lifted[i:].sum() + (i * lifted[i - 1] if i else 0.0) + 3 * (dimensions + 1)  # rounding, neighbours
        found.append(found[-1] * (2 * int(bound) + 1))  # Python integers: they do not overflow
    if found[-1] * points >= 2**62:
        raise InputError(
            "the CRF's standard deviations are too small for this image: its lattice is finer than 63 bits can name; "
            "use a larger crf.bilateral_sigma_rgb, crf.bilateral_sigma_xy or crf.spatial_sigma."
        )
    return np.array(found, dtype=np.int64)
