"""The files of one image after the other, written beside the network's work."""

import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import torch
from numpy.lib.format import open_memmap
from torch import Tensor

from src.core import processes
from src.core.files.whole import replacing
from src.data.classes import Classes, Pixels, label_type
from src.data.files.photos import stamp
from src.evaluation.prediction.folder import Entry, PredictionFolder
from src.evaluation.prediction.pictures import label_picture, overlay_picture
from src.evaluation.prediction.predictor import Prediction
from src.evaluation.prediction.windows import Stripe
from src.evaluation.scoring.results import as_labels

_WAITING = 4  # images; more would fill the memory if the disk is slow


@dataclass
class Photo:
    """An image to label.

    Attributes:
        name: of its files, see `names_of`.
        path: of the image.
        rgb: (H, W, 3) uint8; empty if it cannot be read.
        notes: what was done to the pixels.
        error: why it cannot be read.
        started: when its work began, in seconds.
    """

    name: str
    path: Path
    rgb: Pixels = field(default_factory=lambda: np.empty((0, 0, 3), np.uint8))
    notes: list[str] = field(default_factory=list)
    error: str = ""
    started: float = field(default_factory=time.perf_counter)


class Writer:
    """Writes labels, overlays and, if wanted, probabilities; use as a context manager, which waits for the files.

    Args:
        folder: for the files.
        classes: of the labels.
        probabilities: whether to keep them.
    """

    def __init__(self, folder: PredictionFolder, classes: Classes, *, probabilities: bool) -> None:
        self.folder, self.classes, self.probabilities = folder, classes, probabilities
        self._pool = ThreadPoolExecutor(2)
        self._waiting: deque[Future[None]] = deque()

    def __enter__(self) -> "Writer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.wait(0)
        self._pool.shutdown(cancel_futures=True)

    def wait(self, left: int) -> None:
        """Wait until so many images are left to write; raises what stopped one."""
        while len(self._waiting) > left:
            self._waiting.popleft().result()

    def files(self, name: str) -> list[Path]:
        """What there is of an image that is done."""
        kept = [self.folder.probabilities(name)] if self.probabilities else []
        return [self.folder.labels(name), self.folder.overlay(name), *kept]

    def whole(self, photo: Photo, found: Prediction) -> None:
        """Take the prediction of a whole image; its files follow."""
        pixels, sums = found.summary()
        labels = as_labels(found.labels, self.classes)
        probs = found.probs.to("cpu", torch.float16).numpy() if self.probabilities else None
        self._submit(photo, labels, pixels, sums, probs)

    def stripes(self, photo: Photo, stripes: Any) -> None:
        """Take the prediction of an image part by part, as they come."""
        labels = np.empty(photo.rgb.shape[:2], label_type(len(self.classes)))
        pixels = torch.zeros(len(self.classes), dtype=torch.int64)
        sums = torch.zeros(len(self.classes), dtype=torch.float64)
        with ExitStack() as stack:
            kept = None
            if self.probabilities:
                shape = (len(self.classes), *labels.shape)
                path = self.folder.probabilities(photo.name)
                path.parent.mkdir(parents=True, exist_ok=True)
                temporary = stack.enter_context(replacing(path, size=2 * int(np.prod(shape)), durable=False))
                kept = open_memmap(temporary, "w+", np.float16, shape)
            for stripe in stripes:
                _add(stripe, labels, pixels, sums, kept)
        self._submit(photo, labels, pixels, sums, None)

    def _submit(self, photo: Photo, labels: Any, pixels: Tensor, sums: Tensor, probs: Any) -> None:
        seconds = time.perf_counter() - photo.started
        self.wait(_WAITING - 1)
        self._waiting.append(self._pool.submit(self._write, photo, labels, pixels, sums, probs, seconds))

    def _write(self, photo: Photo, labels: Any, pixels: Tensor, sums: Tensor, probs: Any, seconds: float) -> None:
        files = self.files(photo.name)
        for file in files:
            file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(files[0], durable=False) as temporary:
            label_picture(labels, self.classes).save(temporary, format="PNG")
        with replacing(files[1], durable=False) as temporary:
            overlay_picture(photo.rgb, labels, self.classes).save(temporary, format="WEBP", quality=80)
        if probs is not None:
            with replacing(files[2], size=probs.nbytes, durable=False) as temporary, temporary.open("wb") as target:
                np.save(target, probs, allow_pickle=False)
        self.folder.note(entry_of(photo, pixels, sums, self.classes, seconds), processes.rank())


def _add(stripe: Stripe, labels: Any, pixels: Tensor, sums: Tensor, kept: Any) -> None:
    labels[stripe.place] = stripe.prediction.labels.numpy()
    found, given = stripe.prediction.summary()
    pixels += found
    sums += given
    if kept is not None:
        kept[:, stripe.place[0], stripe.place[1]] = stripe.prediction.probs.numpy()


def entry_of(photo: Photo, pixels: Tensor, sums: Tensor, classes: Classes, seconds: float, *, frames: int = 1) -> Entry:
    """What is written down about an image.

    Args:
        photo: the image.
        pixels: of each class (C,).
        sums: of the probabilities that these pixels were given (C,).
        classes: of the labels.
        seconds: that its labels took.
        frames: how many, if it is a video.
    """
    seen = [(name, int(n), float(s)) for name, n, s in zip(classes.names, pixels, sums, strict=True) if n]
    return Entry(
        name=photo.name,
        file=str(photo.path),
        stamp=stamp(photo.path),
        size=[photo.rgb.shape[1], photo.rgb.shape[0]],
        seconds=round(seconds, 4),
        classes={name: (n, s / n) for name, n, s in seen},
        notes=photo.notes,
        frames=frames,
    )
