"""The scoring of all variants of an image: labels against the truth, from counts per image to scores of a data set."""

import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
from torch import Tensor

from src.core import processes
from src.core.errors import InputError
from src.crf.engines import Engine
from src.crf.model import Image
from src.models.inference import Inference
from src.scoring.confusion import BoundaryCounter, RingCounter
from src.scoring.labelling import Labelled, Labeller
from src.scoring.metrics import RADII, Matrix, Scores, Stack, hits_and_unions, margins, scores
from src.scoring.variants import Variant


@dataclass(frozen=True)
class Scored:
    """One image as it was scored, for observers that draw it; all on the CPU, but the labels may be on a GPU."""

    id: str
    rgb: Image  # (H, W, 3) uint8
    target: Tensor  # (H, W) int64; void as in `void_label`
    labels: Mapping[str, Tensor]  # variant: (H, W) int64
    matrices: Mapping[str, Matrix]  # variant: (C, C), rows the truth


class Observer:
    """Watches the scoring; each process watches its own images."""

    def __call__(self, image: Scored) -> None:
        """Called with each image, in the order in which they were added."""

    def finish(self) -> None:
        """Called once, on all processes, after the last image is scored."""


class VariantScorer:
    """Scores every variant of every image; use as a context manager, which closes the engine.

    Args:
        variants: name to variant; their order is the order of the tables.
        num_classes: C.
        engine: runs the CRFs; None if no variant has a CRF.
        observers: called with each `Scored` image.

    Attributes:
        inferences: those whose probabilities `add` needs.
        ids: images scored so far, in the order of `add`; after `finish`, those of all processes.
        matrices: per variant, the (N, C, C) int64 confusion matrices of `ids`, rows the truth.
        trimaps: per variant, (N, len(RADII), 2, C) int32: hits and unions near the truth's boundaries.
        boundaries: per variant, (N, 2, C) int32: hits and unions of Boundary IoU.
        busy: seconds that CRFs ran; after `finish`, the sum over all processes.
        seconds: of the whole scoring, from `begin` to `finish`.
        first: seconds until the first image was taken in; what is done once, such as compiling, is in them.
        waited: seconds for which `add` and `finish` waited for CRFs; after `finish`, the maximum over all processes.
    """

    def __init__(
        self,
        variants: Mapping[str, Variant],
        num_classes: int,
        engine: Engine | None,
        *,
        observers: Sequence[Observer] = (),
    ) -> None:
        self.variants = dict(variants)
        self.num_classes = num_classes
        self.engine = engine
        self.observers = list(observers)
        self.ids: list[str] = []
        self.matrices = Stack(list(variants), (num_classes, num_classes), np.int64)
        self.trimaps = Stack(list(variants), (len(RADII), 2, num_classes), np.int32)
        self.boundaries = Stack(list(variants), (2, num_classes), np.int32)
        self.labeller = Labeller(variants, engine)
        self.inferences = self.labeller.inferences
        self.busy = self.waited = self.seconds = self.first = 0.0
        self.begun = time.perf_counter()

    def __enter__(self) -> "VariantScorer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.engine is not None:
            self.engine.close(cancel=error is not None)

    def begin(self) -> None:
        """Start the clock."""
        self.begun = time.perf_counter()

    def add(self, image_id: str, probs: Mapping[Inference, Tensor], rgb: Image, target: Tensor) -> None:
        """Take in one image; its scores may follow later.

        Args:
            image_id: its name in the lists.
            probs: for each of `inferences`, (C, H, W) float32 at the image's own size, sum 1 over C.
            rgb: (H, W, 3) uint8.
            target: (H, W) int64 ground truth; it is never changed, and no engine sees it.
        """
        for image in self.labeller.add((image_id, target.cpu()), probs, rgb):
            self._score(image)
        self.first = self.first or time.perf_counter() - self.begun

    def finish(self) -> None:
        """Wait for the running CRFs, score their images, and gather the scores of all processes."""
        for image in self.labeller.finish():
            self._score(image)
        stacks = (self.matrices, self.trimaps, self.boundaries)
        ids, *counted = zip(*processes.gather((self.ids, *(stack.images for stack in stacks))), strict=True)
        self.ids = _dealt(ids)
        for stack, hands in zip(stacks, counted, strict=True):
            stack.images = _dealt(hands)
        if len(set(self.ids)) < len(self.ids):
            raise RuntimeError("an image was scored twice")
        busy, waited = zip(
            *processes.gather((self.engine.busy if self.engine else 0.0, self.labeller.waited)), strict=True
        )
        self.busy, self.waited = sum(busy), max(waited)
        for observer in self.observers:
            observer.finish()
        self.seconds = time.perf_counter() - self.begun

    def account(self) -> str:
        """A text on how the time of scoring was spent."""
        if self.engine is None:
            return f"{len(self.ids)} images in {self.seconds:.1f} s"
        ran = f"CRFs ran for {self.busy:.1f} s{' in all processes' if processes.count() > 1 else ''}"
        beside = f"beside the network, which waited {self.waited:.1f} s for them"
        how = beside if self.engine.ahead else "in turn with the network"
        return f"{len(self.ids)} images in {self.seconds:.1f} s: {ran} {how}"

    def scores(self) -> dict[str, Scores]:
        """Data-set scores per variant.

        Raises:
            InputError: no image has a labelled pixel.
        """
        if not any(len(cells) for image in self.matrices.images for cells, _ in image.values()):
            raise InputError(f"none of the {len(self.ids)} images scored has a labelled pixel; see data.val_list.")
        return {name: scores(self.matrices.total(name)) for name in self.variants}

    def _score(self, image: Labelled) -> None:
        image_id, target = image.tag
        count = RingCounter(target, self.num_classes, next(iter(image.probs.values())).device)
        rings = count(image.labels)
        matrices = {name: counted.sum(0) for name, counted in rings.items()}
        self.ids.append(image_id)
        self.matrices.append(matrices)
        self.trimaps.append({name: hits_and_unions(margins(counted.cumsum(0)[:-1])) for name, counted in rings.items()})
        self.boundaries.append(BoundaryCounter(target, self.num_classes)(image.labels))
        for observe in self.observers:
            observe(Scored(image_id, image.rgb, target, image.labels, matrices))


def _dealt(hands: Sequence[list[Any]]) -> list[Any]:
    """The items that were dealt out one by one to several processes, in their original order."""
    missing = object()
    rounds = itertools.zip_longest(*hands, fillvalue=missing)
    return [thing for dealt in rounds for thing in dealt if thing is not missing]
