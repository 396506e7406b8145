"""The counts behind the scores of a row, and the scores that sums of counts give."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from src.scoring.metrics import hits_and_unions

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Sample:
    """The counts behind the scores of one row.

    A data-set score is a mean of ratios of sums over images: the IoU of a class is hits over union.

    Attributes:
        numerator: (S, N, K) of S trainings, N images and K ratios.
        denominator: (S, N, K).
        means: (K, G) weights, 0 or 1, or with the sum 1; score g is the weighted mean of its ratios whose denominator,
            summed over all images, is not 0.
        trainings: names of the S trainings. Rows that share a name come from the same network, with other variants.
    """

    numerator: npt.NDArray[np.float32]
    denominator: npt.NDArray[np.float32]
    means: Array
    trainings: tuple[str, ...]

    @classmethod
    def of_miou(cls, margins: npt.NDArray[Any], trainings: Sequence[str]) -> "Sample":
        """Of mIoU alone, from margins (S, N, 3, C), see `src.scoring.metrics.margins`."""
        both = hits_and_unions(margins).astype(np.float32)  # (S, N, 2, C)
        return cls(both[:, :, 0], both[:, :, 1], np.ones((both.shape[-1], 1)), tuple(trainings))

    @property
    def images(self) -> int:
        """N."""
        return int(self.numerator.shape[1])

    @cached_property
    def point(self) -> Array:
        """(S, G) scores of each training."""
        return scores(self.numerator.sum(1, dtype=np.float64), self.denominator.sum(1, dtype=np.float64), self.means)

    @cached_property
    def value(self) -> Array:
        """(G,) mean over the trainings."""
        return np.asarray(self.point.mean(0))

    @cached_property
    def deviations(self) -> Array:
        """(S, G) of the trainings from their mean."""
        return self.point - self.value

    @cached_property
    def influences(self) -> Array:
        """(S, N, G): what an image adds to the score of a training, to first order.

        The mean over the trainings has the sum 0 over the images.
        """
        hits, unions = self.mean_counts()
        total = unions.sum(0)
        size = np.where(total > 0, total, 1)
        weight = self.means * (total > 0)[:, None]
        weight = weight / np.maximum(weight.sum(0), 1) / size[:, None]
        ratio = hits.sum(0) / size
        found = self.numerator @ weight - self.denominator @ (weight * ratio[:, None])
        return np.asarray(found)

    def mean_counts(self) -> npt.NDArray[np.float64]:
        """(2, N, K) numerator and denominator, averaged over the trainings."""
        return np.stack([self.numerator.mean(0, dtype=np.float64), self.denominator.mean(0, dtype=np.float64)])

    def of(self, trainings: Sequence[str]) -> "Sample":
        """The same for some of the trainings, in the given order."""
        if tuple(trainings) == self.trainings:
            return self
        places = [self.trainings.index(name) for name in trainings]
        return Sample(self.numerator[places], self.denominator[places], self.means, tuple(trainings))


def scores(hits: Array, unions: Array, means: Array, least: Array | float = 0.0) -> Array:
    """(..., G) weighted means of ratios (..., K); a ratio of 0 to 0 is left out, and NaN is the mean of none.

    Unions up to `least` are 0 but for rounding.
    """
    present = unions > least
    member = means.astype(np.float64)
    axes = tuple(range(unions.ndim - 1))
    always = np.asarray(present.all(axes))
    if (always == present.any(axes)).all():  # as nearly always; one product less
        member = member * always[:, None]
        size = member.sum(0)
        means_of = (hits / (unions + ~always)) @ (member / np.maximum(size, 1))
        means_of[..., size == 0] = np.nan
        return np.asarray(means_of)
    ratios = np.divide(hits, unions, out=np.zeros(hits.shape), where=present)
    size = present.astype(np.float64) @ member
    return np.asarray(np.divide(ratios @ member, size, out=np.full(size.shape, np.nan), where=size > 0))
