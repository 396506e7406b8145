"""Ways to turn logits into labels, and the scoring of all of them from one forward pass.

A variant is `none` (the network's own labels) or (CRF parameters, guidance, fusion rule). Variants that share CRF
parameters and guidance share one CRF run. Runs go to an engine and are scored when they come back, so that the CRF of
one image overlaps the network on the next ones.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from types import TracebackType

import numpy as np
import numpy.typing as npt
from torch import Tensor

from src.counting import RingCounter
from src.crf.engines import Engine
from src.crf.model import DenseCRF, Image, readonly
from src.errors import InputError
from src.fusion import most_probable
from src.scoring import Matrix, Scores, hits_and_unions, scores

Fusion = Callable[[Tensor, Tensor], Tensor]  # probabilities before and after (C, H, W) -> labels (H, W)


@dataclass(frozen=True)
class Variant:
    """A way to labels: without a CRF the network's own, without a fusion rule the CRF's own."""

    crf: DenseCRF | None = None
    fusion: Fusion | None = None

    def labels(self, probs: Tensor, after: Tensor | None) -> Tensor:
        """Labels (H, W) int64 from probabilities (C, H, W) before and after the CRF."""
        if after is None:
            return most_probable(probs)
        return most_probable(after) if self.fusion is None else self.fusion(probs, after)


@dataclass(frozen=True)
class Scored:
    """One image as it was scored, for whoever draws it; all on the CPU."""

    id: str
    rgb: Image  # (H, W, 3) uint8
    target: Tensor  # (H, W) int64, 255 is void
    labels: Mapping[str, Tensor]  # variant: (H, W) int64
    matrices: Mapping[str, Matrix]  # variant: (C, C), rows the truth


@dataclass
class _Image:
    id: str
    probs: Tensor  # (C, H, W) float32, on the engine's device
    rgb: Image
    target: Tensor


class VariantScorer:
    """Scores every variant of every image; use as a context manager, which closes the engine.

    Args:
        variants: name to variant; their order is the order of the tables.
        num_classes: C.
        engine: runs the CRFs; None where no variant has one.
        observers: called with each `Scored` image, in the order of `add`.

    Attributes:
        ids: images scored so far, in the order of `add`.
        matrices: per variant one (C, C) int64 confusion matrix per image, rows the truth.
        trimaps: per variant one (len(RADII), 2, C) int32 per image: hits and unions near the truth's boundaries.
    """

    def __init__(
        self,
        variants: Mapping[str, Variant],
        num_classes: int,
        engine: Engine | None,
        *,
        observers: Sequence[Callable[[Scored], None]] = (),
    ) -> None:
        self.variants = dict(variants)
        self.num_classes = num_classes
        self.engine = engine
        self.observers = list(observers)
        self.ids: list[str] = []
        self.matrices: dict[str, list[Matrix]] = {name: [] for name in variants}
        self.trimaps: dict[str, list[npt.NDArray[np.int32]]] = {name: [] for name in variants}
        self._models = tuple(dict.fromkeys(v.crf for v in variants.values() if v.crf is not None))
        self._waiting: list[_Image] = []
        self._running: deque[tuple[list[_Image], Future[list[list[Tensor]]]]] = deque()

    def __enter__(self) -> "VariantScorer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.engine is not None:
            self.engine.close(cancel=error is not None)

    def add(self, image_id: str, logits: Tensor, rgb: Image, target: Tensor) -> None:
        """Take in one image; its scores may follow later.

        Args:
            image_id: its name in the lists.
            logits: (C, H, W) float, at the image's own size.
            rgb: (H, W, 3) uint8.
            target: (H, W) int64 ground truth; read, never written, and no engine sees it.
        """
        probs = logits.detach().float().softmax(0)
        image = _Image(image_id, probs, rgb, target.cpu())
        if self.engine is None:
            self._score(image, ())
            return
        image.probs = probs.to(self.engine.device)
        self._waiting.append(image)
        if len(self._waiting) == self.engine.batch:
            self._submit()
        while len(self._running) > self.engine.ahead:
            self._collect()

    def finish(self) -> None:
        """Wait for the CRF runs under way and score their images."""
        self._submit()
        while self._running:
            self._collect()

    def stacked(self) -> dict[str, Matrix]:
        """Per variant the (N, C, C) int64 matrices of the images in `ids`."""
        empty = np.zeros((0, self.num_classes, self.num_classes), dtype=np.int64)
        return {name: np.stack(found) if found else empty for name, found in self.matrices.items()}

    def stacked_trimaps(self) -> dict[str, npt.NDArray[np.int32]]:
        """Per variant the (N, len(RADII), 2, C) hits and unions of the images in `ids`, of which there is one."""
        return {name: np.stack(found) for name, found in self.trimaps.items()}

    def scores(self) -> dict[str, Scores]:
        """Data-set scores per variant.

        Raises:
            InputError: none of the images has a labelled pixel.
        """
        if not any(matrix.any() for matrices in self.matrices.values() for matrix in matrices):
            raise InputError(f"none of the {len(self.ids)} images scored has a labelled pixel; see data.val_list.")
        return {name: scores(matrices) for name, matrices in self.stacked().items()}

    def _submit(self) -> None:
        if self._waiting and self.engine is not None:
            batch, self._waiting = self._waiting, []
            answer = self.engine.submit([item.probs for item in batch], [readonly(i.rgb) for i in batch], self._models)
            self._running.append((batch, answer))

    def _collect(self) -> None:
        batch, answer = self._running.popleft()
        for image, after in zip(batch, answer.result(), strict=True):
            self._score(image, after)

    def _score(self, image: _Image, answers: Sequence[Tensor]) -> None:
        after = dict(zip(self._models, answers, strict=False))
        labels = {
            name: variant.labels(image.probs, after[variant.crf] if variant.crf is not None else None).cpu()
            for name, variant in self.variants.items()
        }
        count = RingCounter(image.target, self.num_classes)
        rings = {name: count(prediction) for name, prediction in labels.items()}
        matrices = {name: counted.sum(0) for name, counted in rings.items()}
        self.ids.append(image.id)
        for name, counted in rings.items():
            self.matrices[name].append(matrices[name])
            self.trimaps[name].append(hits_and_unions(counted.cumsum(0)[:-1]).astype(np.int32))
        for observe in self.observers:
            observe(Scored(image.id, image.rgb, image.target, labels, matrices))
