"""The scoring of all variants of an image.

Variants with the same inference share the network's passes. Those with the same CRF parameters and guidance share a
CRF run. An engine runs the CRFs, and its results are scored when they come back; so the CRF of one image
can run while the network works on the next ones.
"""

import itertools
import time
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
from torch import Tensor

from src.core import processes
from src.core.errors import InputError
from src.crf.engines import Engine
from src.crf.model import DenseCRF, Image, readonly
from src.models.inference import Inference
from src.scoring.confusion import RingCounter
from src.scoring.metrics import RADII, Matrix, Scores, Stack, hits_and_unions, margins, scores
from src.scoring.presets import crf_told
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


@dataclass
class _Image:
    id: str
    probs: dict[Inference, Tensor]  # (C, H, W) float32, on the engine's device
    rgb: Image
    target: Tensor


Answers = dict[tuple[Inference, DenseCRF], Tensor]
_Running = tuple[list[_Image], dict[Inference, "Future[list[list[Tensor]]]"]]


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
        busy: seconds that CRFs ran; after `finish`, the sum over all processes.
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
        self.inferences = tuple(dict.fromkeys(v.inference for v in variants.values()))
        self.busy = self.waited = 0.0
        self._models = {
            inference: tuple(dict.fromkeys(v.crf for v in variants.values() if v.crf and v.inference == inference))
            for inference in self.inferences
        }
        self._waiting: list[_Image] = []
        self._running: deque[_Running] = deque()

    def __enter__(self) -> "VariantScorer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.engine is not None:
            self.engine.close(cancel=error is not None)

    def add(self, image_id: str, probs: Mapping[Inference, Tensor], rgb: Image, target: Tensor) -> None:
        """Take in one image; its scores may follow later.

        Args:
            image_id: its name in the lists.
            probs: for each of `inferences`, (C, H, W) float32 at the image's own size, sum 1 over C.
            rgb: (H, W, 3) uint8.
            target: (H, W) int64 ground truth; it is never changed, and no engine sees it.
        """
        image = _Image(image_id, {key: value.detach() for key, value in probs.items()}, rgb, target.cpu())
        if self.engine is None:
            self._score(image, {})
            return
        device = self.engine.device
        image.probs = {key: value.to(device) for key, value in image.probs.items()}
        self._waiting.append(image)
        if len(self._waiting) >= self.engine.batch:  # an engine that is short of memory takes fewer
            self._submit()
        while len(self._running) > self.engine.ahead:
            self._collect()

    def finish(self) -> None:
        """Wait for the running CRFs, score their images, and gather the scores of all processes."""
        self._submit()
        while self._running:
            self._collect()
        everyone = processes.gather((self.ids, self.matrices.images, self.trimaps.images))
        ids, matrices, trimaps = zip(*everyone, strict=True)
        self.ids, self.matrices.images, self.trimaps.images = _dealt(ids), _dealt(matrices), _dealt(trimaps)
        if len(set(self.ids)) < len(self.ids):
            raise RuntimeError("an image was scored twice")
        busy, waited = zip(*processes.gather((self.engine.busy if self.engine else 0.0, self.waited)), strict=True)
        self.busy, self.waited = sum(busy), max(waited)
        for observer in self.observers:
            observer.finish()

    def account(self, seconds: float) -> str:
        """A text on how the time of scoring, `seconds`, was spent."""
        if self.engine is None:
            return f"{len(self.ids)} images in {seconds:.1f} s"
        ran = f"CRFs ran for {self.busy:.1f} s{' in all processes' if processes.count() > 1 else ''}"
        beside = f"beside the network, which waited {self.waited:.1f} s for them"
        how = beside if self.engine.ahead else "in turn with the network"
        return f"{len(self.ids)} images in {seconds:.1f} s: {ran} {how}"

    def scores(self) -> dict[str, Scores]:
        """Data-set scores per variant.

        Raises:
            InputError: no image has a labelled pixel.
        """
        if not any(len(cells) for image in self.matrices.images for cells, _ in image.values()):
            raise InputError(f"none of the {len(self.ids)} images scored has a labelled pixel; see data.val_list.")
        return {name: scores(self.matrices.total(name)) for name in self.variants}

    def _submit(self) -> None:
        if self._waiting and self.engine is not None:
            batch, self._waiting = self._waiting, []
            guides = [readonly(image.rgb) for image in batch]
            answers = {
                inference: self.engine.submit([image.probs[inference] for image in batch], guides, models)
                for inference, models in self._models.items()
                if models
            }
            self._running.append((batch, answers))

    def _collect(self) -> None:
        batch, answers = self._running.popleft()
        started = time.perf_counter()
        with crf_told():
            found = {inference: answer.result() for inference, answer in answers.items()}
        self.waited += time.perf_counter() - started
        for i, image in enumerate(batch):
            after: Answers = {}
            for inference, per_image in found.items():
                after |= {(inference, m): q for m, q in zip(self._models[inference], per_image[i], strict=True)}
            self._score(image, after)

    def _score(self, image: _Image, after: Answers) -> None:
        labels = {
            name: variant.labels(
                image.probs[variant.inference], after[variant.inference, variant.crf] if variant.crf else None
            )
            for name, variant in self.variants.items()
        }
        count = RingCounter(image.target, self.num_classes, next(iter(image.probs.values())).device)
        rings = count(labels)
        matrices = {name: counted.sum(0) for name, counted in rings.items()}
        self.ids.append(image.id)
        self.matrices.append(matrices)
        self.trimaps.append({name: hits_and_unions(margins(counted.cumsum(0)[:-1])) for name, counted in rings.items()})
        for observe in self.observers:
            observe(Scored(image.id, image.rgb, image.target, labels, matrices))


def _dealt(hands: Sequence[list[Any]]) -> list[Any]:
    """The items that were dealt out one by one to several processes, in their original order."""
    missing = object()
    rounds = itertools.zip_longest(*hands, fillvalue=missing)
    return [thing for dealt in rounds for thing in dealt if thing is not missing]
