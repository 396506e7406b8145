"""Worlds whose truth is known, to try statistics on: simulated images, and resampled counts of real ones."""

from dataclasses import dataclass

import numpy as np

from src.reporting.statistics.samples import Sample
from src.scoring.metrics import hits_and_unions, margins

CLASSES = 21
MEAN = np.ones((CLASSES, 1), dtype=bool)


def sample(hits, unions, row):
    """The counts (S, N, C) of a row, with mIoU as the only score."""
    names = tuple(f"{row}-{seed}" for seed in range(len(hits)))
    return Sample(hits.astype(np.float32), unions.astype(np.float32), MEAN, names)


@dataclass(frozen=True)
class Simulated:
    """Background in each image, other classes rarely, sizes with a heavy tail.

    Attributes:
        presence: how probable a class is in an image.
        seed_sd: a training moves the share of pixels that are found, in all images, by a normal step of this size.
        gains: per row, what is added to the share of pixels that are found.
        likeness: share of the noise of an image that all rows but the first have in common; nearly 1: they are copies.
        shared: whether all rows are variants of the same trainings; then a training moves them together, and each row
            by a tenth of that by itself.
        constancy: share of the rest that all trainings of a row have in common.
    """

    presence: float = 0.05
    seed_sd: float = 0.0
    gains: tuple[float, ...] = (0.0, 0.0)
    likeness: float = 0.0
    constancy: float = 0.0
    shared: bool = False

    def draw(self, random, count, seeds):
        """A `Sample` per row; `seeds` holds the number of trainings of each."""
        here = random.random((count, CLASSES)) < self.presence
        here[:, 0] = True
        size = np.exp(random.normal(0, 0.8, (count, CLASSES))) * here
        size[:, 0] *= 4
        share = random.beta(6, 1.5, (count, CLASSES))
        common = random.normal(0, 0.03, (count, CLASSES))
        rows = []
        together = random.normal(0, self.seed_sd, (max(seeds), 1, 1))
        receivers = np.where(random.random((count, CLASSES)) < 0.7, 0, random.integers(0, CLASSES, (count, CLASSES)))
        together_apart = random.normal(0, 0.1 * self.seed_sd, (max(seeds), 1, 1))
        for row, (gain, trainings) in enumerate(zip(self.gains, seeds, strict=True)):
            of_row = random.normal(0, 0.03, (count, CLASSES))
            own = random.normal(0, 0.03, (trainings, count, CLASSES))
            rest = np.sqrt(self.constancy) * of_row + np.sqrt(1 - self.constancy) * own
            likeness = self.likeness if row > 0 else 0.0
            noise = np.sqrt(likeness) * common + np.sqrt(1 - likeness) * rest
            shift = random.normal(0, self.seed_sd, (trainings, 1, 1))
            if self.shared:
                apart = np.sqrt(self.likeness) * together_apart + np.sqrt(1 - self.likeness) * 0.1 * shift
                shift = together + (apart if row > 0 else 0)
            found = np.clip(share + gain + shift + noise, 0, 1)
            lost = size * (1 - found)  # goes to background or to whatever class
            receiver = np.where(random.random(lost.shape) < 0.7, 0, random.integers(0, CLASSES, lost.shape))
            receiver = np.where(random.random(lost.shape) < likeness, receivers, receiver)
            place = receiver + CLASSES * np.arange(trainings * count).reshape(trainings, count, 1)
            wrong = np.bincount(place.ravel(), lost.ravel(), trainings * count * CLASSES).reshape(lost.shape)
            rows.append(sample(size * found, size + wrong, "" if self.shared else row))
        return rows

    def truth(self):
        """(rows, C) IoU over very many images and trainings."""
        hits = unions = 0
        for k in range(60):
            rows = self.draw(np.random.default_rng([k, 7]), 2_000, [4] * len(self.gains))
            hits += np.stack([row.numerator.sum((0, 1), dtype=float) for row in rows])
            unions += np.stack([row.denominator.sum((0, 1), dtype=float) for row in rows])
        return hits / unions


@dataclass(frozen=True)
class Resampled:
    """Real counts of some methods on N images, drawn with replacement.

    Attributes:
        counts: per method (N, 2, C), hits and unions.
        methods: per row the two methods between which it chooses for each image, and the mean probability of the
            second. Rows of equal entries are equally good.
        seed_sd: spread of this probability over trainings.
        lost: mean and spread over trainings of the share of right pixels that a training misses.
    """

    counts: dict[str, np.ndarray]
    methods: tuple[tuple[str, str, float], ...]
    seed_sd: float = 0.0
    lost: tuple[float, float] = (0.0, 0.0)

    def draw(self, random, count, seeds):
        """A `Sample` per row; `seeds` holds the number of trainings of each."""
        images = random.integers(0, len(next(iter(self.counts.values()))), count)
        rows = []
        for row, ((first, second, share), trainings) in enumerate(zip(self.methods, seeds, strict=True)):
            chance = np.clip(random.normal(share, self.seed_sd, (trainings, 1)), 0, 1)
            chosen = (random.random((trainings, count)) < chance)[..., None, None]
            found = np.where(chosen, self.counts[second][images], self.counts[first][images])
            kept = 1 - np.clip(random.normal(*self.lost, (trainings, 1, 1)), 0, 1)
            rows.append(sample(found[:, :, 0] * kept, found[:, :, 1], row))
        return rows

    def truth(self):
        """(rows, C) IoU of the N images."""
        sums = {name: counted.sum(0, dtype=float) for name, counted in self.counts.items()}
        mixed = [(1 - share) * sums[first] + share * sums[second] for first, second, share in self.methods]
        return np.stack([(1 - self.lost[0]) * hits / np.maximum(unions, 1) for hits, unions in mixed])


def read_counts(path):
    """Hits and unions (N, 2, C) of each variant in a `confusion.npz`."""
    with np.load(path) as file:
        return {name: hits_and_unions(margins(file[name])) for name in file.files if name != "ids"}
