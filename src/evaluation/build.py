"""From a config to the objects that score: network, data, variants, CRF engine. Knows both the YAML and the classes."""

from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

import src
from src.core.machine import keep_freed_memory, processor_name
from src.core.values import as_dict
from src.crf.cpu import ahead
from src.crf.engines import ENGINES, Engine
from src.crf.model import DenseCRF
from src.data.config import classes_of, splits_of
from src.data.datamodule import SegmentationDataModule
from src.data.sources.table import source_of
from src.data.transforms import Augment
from src.evaluation.machine.hardware import Hardware, detect
from src.evaluation.task import ScoringTask
from src.models.deeplab import DeepLab
from src.models.inference import Inference
from src.models.tables import BACKBONES, HEADS
from src.scoring import presets
from src.scoring.fusion import bound
from src.scoring.scorer import VariantScorer
from src.scoring.variants import Variant


def hardware(config: DictConfig, *, batch: int = 0) -> Hardware:
    """The machine's hardware, with the config's choices; on a CPU, also sets the memory allocator.

    `batch`: as for `detect`.
    """
    found = detect(config.trainer, jobs=config.get("jobs", 1), batch=batch)
    if found.device == "cpu":
        keep_freed_memory()
    return found


def datamodule(config: DictConfig, machine: Hardware) -> SegmentationDataModule:
    """The data set, its augmentation and its evaluation protocol."""
    data, recipe = config.data, config.recipe
    return SegmentationDataModule(
        prepare=source_of(data),
        root=Path(data.root),
        split=partial(splits_of, data, left_out=presets.tuned_on(config)),
        augment=Augment(**as_dict(recipe.augment), void=classes_of(data).void),
        batch_size=recipe.batch_size,
        protocol=recipe.protocol,
        workers=machine.workers,
        pin_memory=machine.accelerator in ("cuda", "gpu"),
        cache=machine.cache,
        seed=config.seed,
    )


def network(config: DictConfig) -> DeepLab:
    """Head on backbone, without weights from a file."""
    stride = config.head.output_stride
    backbone = BACKBONES.make(as_dict(config.backbone), ignore=("name", "weights"), output_stride=stride)
    fixed = {"backbone": backbone, "num_classes": len(classes_of(config.data))}
    built: DeepLab = HEADS.make(as_dict(config.head), ignore=("output_stride",), **fixed)
    return built


def scoring_task(config: DictConfig, machine: Hardware) -> ScoringTask:
    """The module that scores a checkpoint; its network is still to be filled."""
    net = network(config)
    statistics = {"mean": net.backbone.mean, "std": net.backbone.std}
    names = classes_of(config.data).names
    return ScoringTask(net, classes=names, **statistics, channels_last=machine.whole_channels_last)


def variants(config: DictConfig) -> dict[str, Variant]:
    """The variants of the config, by name."""
    built = {}
    background = classes_of(config.data).background
    for name, choice in config.variants.items():
        looks: dict[str, Any] = dict(choice.get("inference") or {})
        if "scales" in looks:
            looks["scales"] = tuple(looks["scales"])
        crf = None
        if choice.get("guidance") is not None:
            crf = DenseCRF(presets.parameters(choice.get("crf") or config.crf), choice.guidance)
        rule, options = choice.get("fusion"), dict(choice.get("options") or {})
        fusion = bound(rule, options, background, f"variants.{name}") if rule else None
        built[str(name)] = Variant(crf, fusion, Inference(**looks))
    return built


def scorer(config: DictConfig, machine: Hardware) -> VariantScorer:
    """The scorer of all variants, with the engine that their CRFs need."""
    chosen = variants(config)
    needed = any(variant.crf is not None for variant in chosen.values())
    return VariantScorer(chosen, len(classes_of(config.data)), engine(config, machine) if needed else None)


def compile_ahead(config: DictConfig, machine: Hardware) -> None:
    """Start to compile the CRF while other work goes on, if a CRF will run on the CPU."""
    variants = config.get("variants")  # a search has no variants: it always runs CRFs
    runs = variants is None or any(variant and variant.get("guidance") for variant in variants.values())
    on_cpu = config.crf.engine == "numba" or (config.crf.engine == "auto" and machine.device != "cuda")
    if runs and on_cpu:
        ahead.start()


def engine(config: DictConfig, machine: Hardware) -> Engine:
    """The engine that runs the CRFs."""
    made = ENGINES[config.crf.engine](machine.device, machine.cores)
    if made.batch > 1 and (batch := config.crf.get("batch")) is not None:
        made.batch = batch
    return made


def versions() -> dict[str, str]:
    """Versions of the project and of the packages that its numbers depend on."""
    packages = ("torch", "torchvision", "lightning", "torchmetrics", "numpy")
    return {"seglab": src.__version__, **{name: version(name) for name in packages}}


def machine_facts(machine: Hardware) -> dict[str, Any]:
    """What scores ran on: digits may differ between devices, precisions, and numbers of processes and threads."""
    on_gpu = machine.device == "cuda"
    return {
        "device": torch.cuda.get_device_name() if on_gpu else processor_name(),
        "precision": machine.precision,
        "channels_last": machine.channels_last,
        "processes": machine.processes,
        "threads": torch.get_num_threads(),
    }
