"""The permutohedral lattice, for both back ends: constants, and names of vertices as integers. NumPy only.

Adams, Baek, Davis (2010): points of d dimensions are lifted into the hyperplane of d + 1 coordinates that sum to zero.
A lattice cuts this plane into simplices of d + 1 vertices. Values are splatted from points to vertices with
barycentric weights, blurred along the d + 1 axes of the lattice, and sliced back to the points.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .errors import CRFError


def scales(dimensions: int) -> tuple[np.float32, ...]:
    """Diagonal of the lifting matrix E (p. 5) for a filter of unit standard deviation (p. 6), in the reference's order.

    The order of float32 operations matters: it decides in which simplex a point on a border lies, and a vertex that
    exists passes values on even if its weight is zero.
    """
    deviation = np.float32(np.sqrt(2.0 / 3.0) * (dimensions + 1))
    return tuple(np.float32(1.0 / np.sqrt((i + 2) * (i + 1)) * float(deviation)) for i in range(dimensions))


def alpha(dimensions: int) -> float:
    """Factor that undoes the gain of splatting, blurring with (1/2, 1, 1/2) and slicing."""
    return float(1 / (1 + 2.0**-dimensions))


def strides(largest: Sequence[float], points: int = 1) -> npt.NDArray[np.int64]:
    """Factors that turn the first d coordinates of a vertex into one integer, its name.

    Names are linear in the coordinates: a neighbour's name is the vertex's name plus a constant.

    Args:
        largest: per dimension the largest absolute value of the features.
        points: number of sets of points that share the names; multiples of `strides[d]` keep them apart.

    Returns:
        (d + 1,) int64: the factors, then the number of names that one set of points can have.

    Raises:
        CRFError: the lattice is so fine that the names do not fit into 63 bits.
    """
    dimensions = len(largest)
    scale = np.array(scales(dimensions), dtype=np.float64)
    lifted = np.asarray(largest, dtype=np.float64) * scale
    found = [1]
    for i in range(dimensions):
        bound = lifted[i:].sum() + (i * lifted[i - 1] if i else 0.0) + 3 * (dimensions + 1)  # rounding, neighbours
        found.append(found[-1] * (2 * int(bound) + 1))  # Python integers: they do not overflow
    if found[-1] * points >= 2**62:
        raise CRFError(
            "the CRF's standard deviations are too small for this image: its lattice has more vertices than 63 bits "
            "can number; use a larger crf.bilateral_sigma_rgb, crf.bilateral_sigma_xy or crf.spatial_sigma."
        )
    return np.array(found, dtype=np.int64)
