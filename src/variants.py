"""Ways to turn logits into labels, and the scoring of all of them from one forward pass.

A variant is `none` (the network's own labels) or (CRF parameters, guidance, fusion rule). Variants that share CRF
parameters and guidance share one CRF run. Runs go to a process pool and are scored when they come back, so that the
CRF of one image overlaps the network on the next ones.
"""

import multiprocessing
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType

import numpy as np
import torch
from torch import Tensor

from src.crf.model import DenseCRF, FloatArray, Image, run
from src.errors import InputError
from src.scoring import Matrix, Scores, confusion_matrix, scores

Fusion = Callable[[Tensor, Tensor], Tensor]  # probabilities before and after (C, H, W) -> labels (H, W)


@dataclass(frozen=True)
class Variant:
    """A way to labels: without an engine the network's own, without a fusion rule the CRF's own."""

    crf: DenseCRF | None = None
    fusion: Fusion | None = None

    def labels(self, probs: Tensor, after: Tensor | None) -> Tensor:
        """Labels (H, W) int64 from probabilities (C, H, W) before and after the CRF."""
        if after is None:
            return probs.argmax(0)
        return after.argmax(0) if self.fusion is None else self.fusion(probs, after)


@dataclass(frozen=True)
class Scored:
    """One image as it was scored, for whoever draws it; all on the CPU."""

    id: str
    rgb: Image  # (H, W, 3) uint8
    target: Tensor  # (H, W) int64, 255 is void
    labels: Mapping[str, Tensor]  # variant: (H, W) int64


@dataclass
class _Pending:
    id: str
    probs: Tensor  # (C, H, W) float32
    rgb: Image
    target: Tensor
    runs: dict[DenseCRF, "Future[FloatArray]"] = field(default_factory=dict)


class VariantScorer:
    """Scores every variant of every image; use as a context manager, which owns the CRF's processes.

    Args:
        variants: name to variant; their order is the order of the tables.
        num_classes: C.
        processes: CRF processes; started at the first CRF run.
        observers: called with each `Scored` image, in the order of `add`.

    Attributes:
        ids: images scored so far, in the order of `add`.
        matrices: per variant one (C, C) int64 confusion matrix per image, rows the truth.
    """

    def __init__(
        self,
        variants: Mapping[str, Variant],
        num_classes: int,
        *,
        processes: int,
        observers: Sequence[Callable[[Scored], None]] = (),
    ) -> None:
        self.variants = dict(variants)
        self.num_classes = num_classes
        self.processes = processes
        self.observers = list(observers)
        self.ids: list[str] = []
        self.matrices: dict[str, list[Matrix]] = {name: [] for name in variants}
        self._pending: deque[_Pending] = deque()
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> "VariantScorer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=error is None, cancel_futures=True)
            self._pool = None

    def add(self, image_id: str, logits: Tensor, rgb: Image, target: Tensor) -> None:
        """Take in one image; its scores may follow later.

        Args:
            image_id: its name in the lists.
            logits: (C, H, W) float, at the image's own size.
            rgb: (H, W, 3) uint8.
            target: (H, W) int64 ground truth; read, never written.
        """
        probs = logits.detach().float().softmax(0).cpu()
        item = _Pending(image_id, probs, rgb, target.cpu())
        for variant in self.variants.values():
            if variant.crf is not None and variant.crf not in item.runs:
                item.runs[variant.crf] = self._workers().submit(run, variant.crf, probs.numpy(), rgb)
        self._pending.append(item)
        while len(self._pending) > 2 * self.processes or (self._pending and not self._pending[0].runs):
            self._score(self._pending.popleft())

    def finish(self) -> None:
        """Wait for the CRF runs under way and score their images."""
        while self._pending:
            self._score(self._pending.popleft())

    def stacked(self) -> dict[str, Matrix]:
        """Per variant the (N, C, C) int64 matrices of the images in `ids`."""
        empty = np.zeros((0, self.num_classes, self.num_classes), dtype=np.int64)
        return {name: np.stack(found) if found else empty for name, found in self.matrices.items()}

    def scores(self) -> dict[str, Scores]:
        """Data-set scores per variant.

        Raises:
            InputError: none of the images has a labelled pixel.
        """
        if not any(matrix.any() for matrices in self.matrices.values() for matrix in matrices):
            raise InputError(f"none of the {len(self.ids)} images scored has a labelled pixel; see data.val_list.")
        return {name: scores(matrices) for name, matrices in self.stacked().items()}

    def _workers(self) -> ProcessPoolExecutor:
        if self._pool is None:
            context = multiprocessing.get_context("spawn")  # forking a process with threads can deadlock
            self._pool = ProcessPoolExecutor(self.processes, mp_context=context)
        return self._pool

    def _score(self, item: _Pending) -> None:
        after = {crf: torch.from_numpy(answer.result()) for crf, answer in item.runs.items()}
        labels = {
            name: variant.labels(item.probs, after[variant.crf] if variant.crf is not None else None)
            for name, variant in self.variants.items()
        }
        self.ids.append(item.id)
        for name, prediction in labels.items():
            matrix = confusion_matrix(prediction, item.target, self.num_classes)
            self.matrices[name].append(matrix.numpy())
        for observe in self.observers:
            observe(Scored(item.id, item.rgb, item.target, labels))
