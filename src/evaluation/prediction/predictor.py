"""A loaded run that labels images: what scoring does with them, to the bit, without the truth."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from omegaconf import DictConfig
from torch import Tensor
from torch.nn.functional import interpolate

from src.crf.engines import Engine
from src.data.classes import Classes, Pixels
from src.data.config import classes_of
from src.data.transforms import evaluation_sample
from src.evaluation import build
from src.evaluation.machine.hardware import Hardware
from src.evaluation.source import Source
from src.evaluation.task import ScoringTask
from src.models.checkpoint.content import load_checkpoint
from src.models.deeplab import resize_logits
from src.models.inference import Inference
from src.scoring.labelling import Labelled, Labeller
from src.scoring.variants import Variant

Protocol = Literal["voc", "squash224"]


@dataclass(frozen=True)
class Prediction:
    """What one variant says of an image, at the image's own size.

    Attributes:
        labels: (H, W) int64.
        probs: (C, H, W) float32, sum 1 over C; see `Variant.probabilities`.
    """

    labels: Tensor
    probs: Tensor

    def summary(self) -> tuple[Tensor, Tensor]:
        """Per class its pixels (C,) int64, and the sum of their probabilities of it (C,) float64; on the CPU."""
        count = len(self.probs)
        labels = self.labels.flatten()
        given = self.probs.gather(0, self.labels[None]).flatten().double()
        sums = given.new_zeros(count).index_add_(0, labels, given)
        return torch.bincount(labels, minlength=count).cpu(), sums.cpu()


@dataclass(frozen=True)
class Seen:
    """An image that the network has looked at; the CRF is still to come.

    Attributes:
        size: height and width of the image itself.
        rgb: (h, w, 3) uint8 as the protocol has it; `voc` leaves the image as it is.
        probs: for each inference (C, h, w) float32, sum 1 over C.
    """

    size: tuple[int, int]
    rgb: Pixels
    probs: Mapping[Inference, Tensor]


class Predictor:
    """Labels images with a run's network and variants.

    Args:
        task: the network with its weights; also says how an image becomes its input.
        classes: of the labels.
        variants: name to variant.
        engine: runs the CRFs; None if no variant has one. The caller closes it.
        machine: what the network runs on, and in which precision.
        protocol: how the run was scored; `squash224` squashes the image, and its labels are scaled back.
    """

    def __init__(
        self,
        task: ScoringTask,
        classes: Classes,
        variants: Mapping[str, Variant],
        engine: Engine | None,
        *,
        machine: Hardware,
        protocol: Protocol,
    ) -> None:
        self.task = task.eval()
        self.classes = classes
        self.variants = dict(variants)
        self.engine = engine
        self.machine = machine
        self.protocol: Protocol = protocol
        self.labeller = Labeller(self.variants, engine)

    def __call__(self, rgb: Pixels) -> dict[str, Prediction]:
        """The labels of all variants of one image (H, W, 3) uint8."""
        return self.label(self.look(rgb))

    @torch.inference_mode()
    def look(self, rgb: Pixels, inferences: tuple[Inference, ...] | None = None) -> Seen:
        """Let the network look at an image, as often as the variants need it.

        Args:
            rgb: (H, W, 3) uint8.
            inferences: how to look at it; None: as the variants need it.
        """
        sample = evaluation_sample(rgb, np.zeros(rgb.shape[:2], np.uint8), self.protocol)
        device = next(self.task.parameters()).device
        batch = {key: value[None].to(device) for key, value in sample.items()}
        with self._precision(device):
            image = self.task.on_after_batch_transfer(batch, 0)["image"]
            wanted = inferences or self.labeller.inferences
            probs = {looks: self.task.look(image, looks) for looks in wanted}
        return Seen((rgb.shape[0], rgb.shape[1]), sample["rgb"].numpy(), probs)

    @torch.inference_mode()
    def label(self, seen: Seen, variants: Mapping[str, Variant] | None = None) -> dict[str, Prediction]:
        """The labels of an image that was looked at.

        Args:
            seen: from `look`; one look serves any number of CRFs.
            variants: others than the run's own, whose inferences `seen` has; None: those.
        """
        chosen = self.variants if variants is None else variants
        labeller = Labeller(chosen, self.engine)
        (found,) = [*labeller.add(None, seen.probs, seen.rgb), *labeller.finish()]
        return _predictions(found, chosen, seen.size)

    @torch.inference_mode()
    def add(self, tag: Any, seen: Seen) -> Iterator[tuple[Any, dict[str, Prediction]]]:
        """Take in one of many images; gives back those that are done, with their tags, see `Labeller`."""
        yield from self._done(self.labeller.add((tag, seen.size), seen.probs, seen.rgb))

    @torch.inference_mode()
    def finish(self) -> Iterator[tuple[Any, dict[str, Prediction]]]:
        """Give back the images of `add` that are left."""
        yield from self._done(self.labeller.finish())

    def _done(self, images: Iterator[Labelled]) -> Iterator[tuple[Any, dict[str, Prediction]]]:
        for image in images:
            tag, size = image.tag
            yield tag, _predictions(image, self.variants, size)

    def _precision(self, device: torch.device) -> AbstractContextManager[Any]:
        """As Lightning's Trainer computes with this machine's precision."""
        if self.machine.precision == "32-true":
            return nullcontext()
        half = torch.bfloat16 if self.machine.precision == "bf16-mixed" else torch.float16
        return torch.autocast(device.type, dtype=half)


def _predictions(image: Labelled, variants: Mapping[str, Variant], size: tuple[int, int]) -> dict[str, Prediction]:
    found = {}
    for name, variant in variants.items():
        before, labels = image.probs[variant.inference], image.labels[name]
        after = image.after[variant.inference, variant.crf] if variant.crf else None
        probs = variant.probabilities(before, after, labels)
        if labels.shape != size:
            labels = interpolate(labels[None, None].float(), size, mode="nearest-exact")[0, 0].long()
            probs = resize_logits(probs[None], size)[0]
        found[name] = Prediction(labels, probs)
    return found


@contextmanager
def opened(settled: DictConfig, source: Source, machine: Hardware) -> Iterator[Predictor]:
    """A predictor with the weights of a source and the variants of a config; its CRF engine is closed at the end.

    Args:
        settled: the config that goes with the source.
        source: a network's checkpoint.
        machine: to run on; moving the network there is left to the caller.
    """
    assert source.checkpoint is not None and source.stored is not None
    content = load_checkpoint(source.checkpoint)
    task = build.scoring_task(source.stored, machine)
    task.load_state_dict(content["state_dict"])
    task.on_load_checkpoint(content)
    variants = build.variants(settled)
    engine = build.engine(settled, machine) if any(variant.crf for variant in variants.values()) else None
    try:
        classes, protocol = classes_of(source.stored.data), settled.recipe.protocol
        yield Predictor(task, classes, variants, engine, machine=machine, protocol=protocol)
    finally:
        if engine is not None:
            engine.close(cancel=True)
