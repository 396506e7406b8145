"""From probabilities to the labels of all variants of an image: the one way that scoring and prediction go.

Variants with the same inference share the network's passes. Those with the same CRF parameters and guidance share a
CRF run. An engine runs the CRFs, and images come back when it is done; so the CRF of one image can run while the
network works on the next ones.
"""

import time
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from src.crf.engines import Engine
from src.crf.model import DenseCRF, Image, readonly
from src.models.inference import Inference
from src.scoring.presets import crf_told
from src.scoring.variants import Variant


@dataclass
class Labelled:
    """An image with the labels of each variant.

    Attributes:
        tag: whatever the image was given with.
        rgb: (H, W, 3) uint8.
        probs: for each inference (C, H, W) float32, on the engine's device.
        after: for each inference and CRF (C, H, W) float32, on the engine's device; empty until CRFs have run.
        labels: variant: (H, W) int64, on the engine's device; empty until CRFs have run.
    """

    tag: Any
    rgb: Image
    probs: dict[Inference, Tensor]
    after: dict[tuple[Inference, DenseCRF], Tensor]
    labels: dict[str, Tensor]


_Running = tuple[list[Labelled], dict[Inference, "Future[list[list[Tensor]]]"]]


class Labeller:
    """Makes the labels of every variant of every image; images come back in their order, but perhaps later.

    Args:
        variants: name to variant.
        engine: runs the CRFs; None if no variant has a CRF. The caller closes it.

    Attributes:
        inferences: those whose probabilities `add` needs.
        waited: seconds for which `add` and `finish` waited for CRFs.

    Raises:
        ValueError: a variant has a CRF, and there is no engine.
    """

    def __init__(self, variants: Mapping[str, Variant], engine: Engine | None) -> None:
        if engine is None and (named := [name for name, variant in variants.items() if variant.crf]):
            raise ValueError(f"{', '.join(named)}: these variants have a CRF, but there is no engine to run it.")
        self.variants = dict(variants)
        self.engine = engine
        self.inferences = tuple(dict.fromkeys(v.inference for v in variants.values()))
        self.waited = 0.0
        self._models = {
            inference: tuple(dict.fromkeys(v.crf for v in variants.values() if v.crf and v.inference == inference))
            for inference in self.inferences
        }
        self._waiting: list[Labelled] = []
        self._running: deque[_Running] = deque()

    def add(self, tag: Any, probs: Mapping[Inference, Tensor], rgb: Image) -> Iterator[Labelled]:
        """Take in one image, and give back those that are done; it may be among them.

        Args:
            tag: comes back with the image; no engine sees it.
            probs: for each of `inferences`, (C, H, W) float32 at the image's own size, sum 1 over C.
            rgb: (H, W, 3) uint8.
        """
        image = Labelled(tag, rgb, {key: value.detach() for key, value in probs.items()}, {}, {})
        if self.engine is None:
            yield self._labelled(image)
            return
        device = self.engine.device
        image.probs = {key: value.to(device) for key, value in image.probs.items()}
        self._waiting.append(image)
        if len(self._waiting) >= self.engine.batch:  # an engine that is short of memory takes fewer
            self._submit(self.engine)
        while len(self._running) > self.engine.ahead:
            yield from self._collect()

    def finish(self) -> Iterator[Labelled]:
        """Wait for the running CRFs, and give back the images that are left."""
        if self.engine is not None and self._waiting:
            self._submit(self.engine)
        while self._running:
            yield from self._collect()

    def _submit(self, engine: Engine) -> None:
        batch, self._waiting = self._waiting, []
        guides = [readonly(image.rgb) for image in batch]
        answers = {
            inference: engine.submit([image.probs[inference] for image in batch], guides, models)
            for inference, models in self._models.items()
            if models
        }
        self._running.append((batch, answers))

    def _collect(self) -> Iterator[Labelled]:
        batch, answers = self._running.popleft()
        started = time.perf_counter()
        with crf_told():
            found = {inference: answer.result() for inference, answer in answers.items()}
        self.waited += time.perf_counter() - started
        for i, image in enumerate(batch):
            for inference, per_image in found.items():
                image.after |= {(inference, m): q for m, q in zip(self._models[inference], per_image[i], strict=True)}
            yield self._labelled(image)

    def _labelled(self, image: Labelled) -> Labelled:
        for name, variant in self.variants.items():
            after = image.after[variant.inference, variant.crf] if variant.crf else None
            image.labels[name] = variant.labels(image.probs[variant.inference], after)
        return image
