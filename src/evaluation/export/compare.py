"""An exported network beside the one that was scored: mIoU, equal labels, difference of probabilities, time."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor

from src.core.errors import InputError
from src.data.classes import Pixels
from src.data.datamodule import SegmentationDataModule
from src.data.transforms import ready
from src.evaluation.task import ScoringTask
from src.models.inference import PLAIN, probabilities
from src.models.sources.onnx import OnnxNetwork
from src.reporting.statistics.samples import Sample
from src.reporting.statistics.verdicts import Difference, analyse
from src.scoring.confusion import confusion_matrix
from src.scoring.metrics import margins, scores_of

Counts = npt.NDArray[Any]
LEAST_EQUAL = 0.999  # share of pixels with the same label, below which a file is not kept
SIZES = ((241, 289), (320, 257))  # height, width: most are divided by no stride; PAN wants 225 px at least


@dataclass
class Agreement:
    """What two networks say about the same images.

    Attributes:
        pixels: that were compared, void ones included.
        same: pixels with the same label.
        largest: difference of two probabilities.
        margins: per image (3, C), of the exported network and of ours; see `src.scoring.metrics.margins`.
        seconds: per image, of the exported network and of ours.
    """

    pixels: int = 0
    same: int = 0
    largest: float = 0.0
    margins: tuple[list[Counts], list[Counts]] = field(default_factory=lambda: ([], []))
    seconds: tuple[list[float], list[float]] = field(default_factory=lambda: ([], []))

    @property
    def equal(self) -> float:
        """Share of pixels with the same label."""
        return self.same / self.pixels

    @property
    def miou(self) -> tuple[float, float]:
        """Of the exported network and of ours, on all images."""
        first, second = (scores_of(np.sum(found, axis=0)).miou for found in self.margins)
        return first, second

    @property
    def milliseconds(self) -> tuple[float, float]:
        """Median per image, of the exported network and of ours."""
        first, second = (1000 * float(np.median(found)) for found in self.seconds)
        return first, second

    def cost(self, resamples: int) -> Difference:
        """MIoU of the exported network minus ours, paired by image, with its 95 % interval."""
        samples = [Sample.of_miou(np.stack(margin)[None], ["network"]) for margin in self.margins]
        (found, _) = analyse(samples, [1, None], swaps=resamples).differences
        assert found is not None
        return found


def on_images(
    exported: OnnxNetwork, task: ScoringTask, data: SegmentationDataModule, ids: Sequence[str], console: Console
) -> Agreement:
    """Run both networks on whole images, and count both against the truth.

    Args:
        exported: the file.
        task: our network with its weights, on the CPU in float32.
        data: gives the images and their truth.
        ids: of the images.
        console: shows the progress.
    """
    found, samples = Agreement(), data.samples(ids)
    numbers: Iterable[int] = range(len(ids))
    for k in track(numbers, "comparing", console=console, transient=True):
        rgb, truth = samples[k]["rgb"][None], samples[k]["mask"].long()
        labels, _ = _compare(exported, task, rgb, found)
        for margin, predicted in zip(found.margins, labels, strict=True):
            margin.append(margins(confusion_matrix(predicted[0], truth, len(task.classes)).numpy()))
    return found


def on_sizes(exported: OnnxNetwork, task: ScoringTask, image: Pixels) -> Agreement:
    """Run both on an image (H, W, 3) uint8 at `SIZES`, and mirrored: two images at a time."""
    found = Agreement()
    for height, width in SIZES:
        scaled = torch.from_numpy(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA))
        _compare(exported, task, torch.stack([scaled, scaled.flip(1)]), found)
    return found


def check_agrees(found: Agreement, where: str) -> None:
    """Raise InputError if a file does not give our labels, so that it is not kept."""
    if found.equal < LEAST_EQUAL:
        raise InputError(
            f"format=onnx: on {where}, {100 * (1 - found.equal):.3f} % of the pixels have another label than the "
            f"network gives (probabilities differ by up to {found.largest:.2g}), so the file is not kept; "
            "format=folder shares the network itself."
        )


def _compare(
    exported: OnnxNetwork, task: ScoringTask, rgb: Tensor, found: Agreement
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Labels (B, H, W) and probabilities of both; adds to `found` how they differ, and the time."""
    started = time.perf_counter()
    file_labels, file_probs = (torch.from_numpy(one) for one in exported(rgb.numpy()))
    between = time.perf_counter()
    ours = torch.stack([_ours(task, image) for image in rgb])
    ended = time.perf_counter()
    if file_probs.shape != ours.shape:
        raise InputError(f"{exported.path}: has {file_probs.shape[1]} classes, and the network has {ours.shape[1]}.")
    labels = ours.argmax(1)
    found.seconds[0].append(between - started)
    found.seconds[1].append(ended - between)
    found.pixels += labels.numel()
    found.same += int((labels == file_labels).sum())
    found.largest = max(found.largest, float((ours - file_probs).abs().max()))
    return (file_labels, labels), (file_probs, ours)


def _ours(task: ScoringTask, image: Tensor) -> Tensor:
    """Probabilities (C, H, W) of an image (H, W, 3) uint8, as they are scored."""
    batch = {"rgb": image[None], "mask": torch.zeros(1)}
    pixels = ready(batch, mean=task.mean, std=task.std, channels_last=task.channels_last)["image"]
    return probabilities(task.network, pixels, PLAIN)
