"""What differences between two rows would be if the rows were equal: their counts are swapped, image by image.

If two methods are equally good, it is chance which of the two made which prediction of an image. So the counts of the
two rows are exchanged in each image or not, as a coin falls, and the difference is computed again (the paired
permutation test: Fisher 1935; Noreen 1989; Yeh 2000). Nothing is assumed about how scores are distributed, and a class
that is in one image alone needs no special care.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from src.reporting.statistics.samples import Sample, scores

_CHUNK = 500  # swaps at a time: 3 MB of signs for 1,449 images


@dataclass(frozen=True)
class Swapped:
    """Differences of P pairs of rows after R ways to swap.

    Attributes:
        observed: (P, G) without any swap; 0 where a score does not exist.
        draws: (P, R, G).
        exact: whether these are all ways there are, each once (up to the sign of all), instead of a random choice.
    """

    observed: npt.NDArray[np.float64]
    draws: npt.NDArray[np.float32]
    exact: bool

    @property
    def scale(self) -> npt.NDArray[np.float64]:
        """(P, G) standard deviation of the draws."""
        return np.asarray(self.draws.std(1, dtype=np.float64))

    def times(self, factor: npt.NDArray[np.float64]) -> "Swapped":
        """All differences times a factor (P, G)."""
        return Swapped(self.observed * factor, self.draws * factor[:, None].astype(np.float32), self.exact)


def swapped(pairs: Sequence[tuple[Sample, Sample]], *, swaps: int, seed: int = 0) -> Swapped:
    """Differences, first minus second, with the same swaps for every pair.

    A row of several trainings is represented by its mean counts.

    Args:
        pairs: all with the same N images in the same order.
        swaps: the most ways to swap, R. If N images have no more than that, all are taken.
        seed: of the random choice.

    Raises:
        ValueError: the rows have different numbers of images.
    """
    if len({one.images for pair in pairs for one in pair}) > 1:
        raise ValueError("rows were scored on different numbers of images and cannot be compared image by image")
    images = pairs[0][0].images
    ways = 2 ** (images - 1)  # swapping all images as well only turns the sign of the difference
    exact = ways <= swaps
    found = np.zeros((len(pairs), ways if exact else swaps, pairs[0][0].means.shape[1]), dtype=np.float32)
    prepared = [_Pair(*pair) for pair in pairs]
    random = np.random.default_rng(seed)
    for begin in range(0, found.shape[1], _CHUNK):
        end = min(begin + _CHUNK, found.shape[1])
        if exact:
            coins = np.arange(begin, end)[:, None] >> np.arange(images) & 1
        else:
            coins = random.integers(0, 2, (end - begin, images), dtype=np.int8)
        signs = (1 - 2 * coins).astype(np.float64 if exact else np.float32)
        for draws, pair in zip(found, prepared, strict=True):
            draws[begin:end] = pair.differences(signs)
    observed = np.stack([pair.differences(np.ones((1, images)))[0] for pair in prepared])
    return Swapped(observed, found, exact)


class _Pair:
    """Half the sum of the counts of both rows, over all images, and half the difference per image."""

    def __init__(self, row: Sample, baseline: Sample) -> None:
        first, second = row.mean_counts(), baseline.mean_counts()  # (2, N, K)
        self.means = row.means
        self.middle = (first + second).sum(1) / 2
        half = (first - second).transpose(1, 0, 2).reshape(row.images, -1) / 2
        self.least = 1e-6 * np.abs(half).sum(0).reshape(2, -1)[1]  # of a union in float32
        self.here = np.flatnonzero(half.any(0))  # most ratios are equal in rows that differ little
        self.half = {dtype: half[:, self.here].astype(dtype) for dtype in (np.float32, np.float64)}

    def differences(self, signs: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """(R, G) from signs (R, N): -1 where the rows are swapped."""
        moved = np.zeros((len(signs), self.middle.size))
        moved[:, self.here] = signs @ self.half[signs.dtype.type]
        moved = moved.reshape(len(signs), *self.middle.shape)
        one, other = (
            scores(sums[:, 0], sums[:, 1], self.means, self.least)
            for sums in (self.middle + moved, self.middle - moved)
        )
        return np.nan_to_num(one - other)
