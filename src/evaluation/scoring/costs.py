"""What a network and its variants cost: parameters, multiplications, and the time for an image on this machine."""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import median
from typing import Any, TypeVar

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from src.crf.engines import Engine
from src.crf.model import DenseCRF, Image, readonly
from src.data.datamodule import SegmentationDataModule
from src.data.transforms import ready
from src.evaluation.machine.hardware import Hardware
from src.evaluation.scoring.results import choose
from src.evaluation.task import ScoringTask
from src.models.inference import Inference
from src.scoring.presets import crf_told
from src.scoring.scorer import VariantScorer

_IMAGES = 5  # that are timed, spread over val; and one more to warm up
_Result = TypeVar("_Result")

Look = Callable[[Mapping[str, Any], Inference], Tensor]
"""From a sample and a kind of inference to probabilities (C, H, W) on the device that the look needs."""


def of_network(
    task: ScoringTask,
    trainer: pl.Trainer,
    data: SegmentationDataModule,
    scorer: VariantScorer,
    machine: Hardware,
    *,
    crop: int,
) -> dict[str, Any]:
    """Costs of a network and of each variant; call it after the images are scored.

    Args:
        task: with the network, which is moved to the trainer's device.
        trainer: decides device and precision.
        data: some of its val images are timed.
        scorer: has the variants, and an engine that is at rest.
        machine: how many jobs share it.
        crop: side in px of the square for which multiplications are counted.

    Returns:
        parameters: their number. multiply_adds: of convolutions and matrix products for an image of crop x crop px.
        crop: as given. seconds: per variant, the median time from an image in memory to labels, see `seconds`.
        scoring: seconds that all val images took with all variants, network and CRFs side by side. first: those of them
        until the first image was taken in.
        jobs: that shared the machine meanwhile.
    """
    device = trainer.strategy.root_device
    network = task.network.to(device).eval()

    def look(sample: Mapping[str, Any], inference: Inference) -> Tensor:
        batch = {"rgb": sample["rgb"][None].to(device), "mask": sample["mask"][None]}
        image = ready(batch, mean=task.mean, std=task.std, channels_last=task.channels_last)["image"]
        return task.look(image, inference)

    with torch.no_grad(), trainer.precision_plugin.forward_context():
        found = seconds(scorer, _samples(data), look, timed=True)
    return {
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "multiply_adds": multiply_adds(network, crop, device),
        "crop": crop,
        "seconds": found,
        "scoring": round(scorer.seconds, 3),
        "first": round(scorer.first, 3),
        "jobs": machine.jobs,
    }


def multiply_adds(network: nn.Module, crop: int, device: torch.device) -> int:
    """Multiply-adds of convolutions and matrix products for one image of crop x crop px; all else is not counted."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, crop, crop, device=device))
    return int(counter.get_total_flops()) // 2


def of_variants(
    look: Look, data: SegmentationDataModule, scorer: VariantScorer, machine: Hardware, *, timed: bool
) -> dict[str, Any]:
    """Costs where probabilities come from files: `seconds` of each variant; `timed`: whether those of `look` count."""
    found = {"seconds": seconds(scorer, _samples(data), look, timed=timed), "jobs": machine.jobs}
    return found if timed else {**found, "without_network": True}


def _samples(data: SegmentationDataModule) -> list[Mapping[str, Any]]:
    found = data.samples(choose(data.ids("val"), _IMAGES))
    return [found[k] for k in range(len(found))]


def seconds(
    scorer: VariantScorer, samples: Sequence[Mapping[str, Any]], look: Look, *, timed: bool
) -> dict[str, float]:
    """Per variant, the median time of an image, alone on the machine: network, CRF and fusion, one after the other.

    Args:
        scorer: has the variants and the engine.
        samples: with rgb (H, W, 3) uint8.
        look: from a sample to probabilities.
        timed: whether the time of `look` counts.
    """
    spent: dict[str, list[float]] = {name: [] for name in scorer.variants}
    for sample in [samples[0], *samples]:
        looks = {inference: _timed(partial(look, sample, inference)) for inference in scorer.inferences}
        rgb = readonly(sample["rgb"].numpy())
        crfs: dict[Any, tuple[Tensor, float]] = {}
        for name, variant in scorer.variants.items():
            probs, took = looks[variant.inference]
            after, crf = None, 0.0
            if variant.crf is not None:
                assert scorer.engine is not None
                probs = probs.to(scorer.engine.device)
                key = variant.inference, variant.crf
                if key not in crfs:
                    crfs[key] = _timed(partial(_run, scorer.engine, probs, rgb, variant.crf))
                after, crf = crfs[key]
            _, labels = _timed(partial(variant.labels, probs, after))
            spent[name].append(took * timed + crf + labels)
    return {name: median(times[1:]) for name, times in spent.items()}


def _run(engine: Engine, probs: Tensor, rgb: Image, model: DenseCRF) -> Tensor:
    with crf_told():
        return engine.submit([probs], [rgb], (model,)).result()[0][0]


def _timed(work: Callable[[], _Result]) -> tuple[_Result, float]:
    """The result, and the seconds until it was there, also on a GPU."""
    _wait()
    started = time.perf_counter()
    result = work()
    _wait()
    return result, time.perf_counter() - started


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
