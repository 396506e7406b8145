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


def strides(largest: Sequence[float], points: int = 1, *, any_size: bool = False) -> npt.NDArray[np.int64]:
    """Factors that turn the first d coordinates of a vertex into one integer, its name.

    Names are linear in the coordinates: a neighbour's name is the vertex's name plus a constant.

    Args:
        largest: per dimension the largest absolute value of the features.
        any_size: give factors of a hash if the names do not fit. Two of a million vertices then have the same name with
            a chance of about 3e-8.
        points: number of sets of points that share the names; multiples of `strides[d]` keep them apart.

    Returns:
        (d + 1,) int64: the factors, then the number of names that one set of points can have.

    Raises:
        CRFError: the lattice is so fine that the names do not fit into 63 bits, and must; or a feature is not finite
            or so large that float32 cannot tell vertices apart.
    """
    dimensions = len(largest)
    scale = np.array(scales(dimensions), dtype=np.float64)
    lifted = np.asarray(largest, dtype=np.float64) * scale
    if not lifted.sum() < 2**23:  # NaN, too
        raise CRFError(
            "the CRF's features must be finite, and less than about a million standard deviations: "
            f"the largest of each dimension are {', '.join(f'{one:g}' for one in largest)}."
        )
    found = [1]
    for i in range(dimensions):
        bound = lifted[i:].sum() + (i * lifted[i - 1] if i else 0.0) + 3 * (dimensions + 1)  # rounding, neighbours
        found.append(found[-1] * (2 * int(bound) + 1))  # Python integers: they do not overflow
    if found[-1] * points >= 2**62 and any_size:
        return _hash_factors(dimensions + 1)
    if found[-1] * points >= 2**62:
        raise CRFError(
            "the CRF's standard deviations are too small for this image: its lattice has more vertices than 63 bits "
            "can number; use a larger crf.bilateral_sigma_rgb, crf.bilateral_sigma_xy or crf.spatial_sigma."
        )
    return np.array(found, dtype=np.int64)


def _hash_factors(count: int) -> npt.NDArray[np.int64]:
    """Odd numbers of 64 bits without a pattern: a name is the sum of its coordinates times them, modulo 2^64."""
    found = np.random.PCG64(20110516).random_raw(count).astype(np.uint64) | np.uint64(1)
    return np.asarray(found.view(np.int64))
