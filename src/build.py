"""From a config to objects: the one place that knows both the YAML and the classes."""

from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

import src
from src import fusion
from src.crf import presets
from src.crf.engines import ENGINES, Engine
from src.crf.model import DenseCRF
from src.data.datamodule import SegmentationDataModule
from src.data.transforms import Augment
from src.data.voc import VOC_CLASSES
from src.errors import InputError
from src.hardware import Hardware, detect
from src.heap import keep_freed_memory
from src.inference import Inference
from src.models import weights
from src.models.deeplab import DeepLab
from src.task import SegmentationTask
from src.variants import Variant, VariantScorer


def hardware(config: DictConfig) -> Hardware:
    """What the machine is good at, with the config's say in it; on a CPU the allocator is set for it as well."""
    found = detect(config.trainer, jobs=config.get("jobs", 1))
    if found.device == "cpu":
        keep_freed_memory()
    return found


def training_hardware(config: DictConfig) -> Hardware:
    """The same; raises InputError where its processes cannot share a batch."""
    found, size = hardware(config), config.recipe.batch_size
    least = 1 if found.device == "cuda" else 2  # on CPUs BatchNorm is not joined over processes
    if found.processes > 1 and (size % found.processes or size // found.processes < least):
        raise InputError(
            f"recipe.batch_size={size}: is that of all {found.processes} processes together, so it must be a multiple "
            f"of {found.processes}, with at least {least} images for each."
        )
    return found


def datamodule(config: DictConfig, machine: Hardware) -> SegmentationDataModule:
    """The data set, its augmentation and its evaluation protocol."""
    data, recipe = config.data, config.recipe
    return SegmentationDataModule(
        prepare=instantiate(data.prepare),
        root=Path(data.root),
        train_list=data.train_list,
        val_list=data.val_list,
        train_limit=data.train_limit,
        val_limit=data.val_limit,
        left_out=presets.tuned_on(config),
        augment=Augment(**_plain(recipe.augment)),
        batch_size=recipe.batch_size,
        protocol=recipe.protocol,
        workers=machine.workers,
        pin_memory=machine.accelerator in ("cuda", "gpu"),
        cache=machine.cache,
        seed=config.seed,
    )


def network(config: DictConfig) -> DeepLab:
    """Head on backbone, weights not yet loaded."""
    choice = {key: value for key, value in config.backbone.items() if key not in ("name", "weights")}
    head = {key: value for key, value in config.head.items() if key not in ("name", "output_stride")}
    backbone = instantiate(choice, output_stride=config.head.output_stride)
    built: DeepLab = instantiate(head, backbone=backbone, num_classes=len(VOC_CLASSES))
    return built


def task(
    config: DictConfig, machine: Hardware, *, fingerprint: dict[str, str], pretrained: bool = True
) -> tuple[SegmentationTask, str]:
    """The module to fit or test, and one line on where its weights come from.

    Args:
        config: resolved root config.
        machine: decides the memory format.
        fingerprint: of the data, for the checkpoint.
        pretrained: False builds the same network without fetching weights, for a checkpoint to fill.
    """
    torch.manual_seed(config.seed)
    net = network(config)
    loaded = weights.load(net, config.backbone.weights if pretrained else None)
    if machine.channels_last:
        net = net.to(memory_format=torch.channels_last)
    recipe = config.recipe
    built = SegmentationTask(
        net,
        loss=instantiate({key: value for key, value in config.loss.items() if key != "name"}),
        classes=VOC_CLASSES,
        optimizer=instantiate(recipe.optimizer, _convert_="all"),
        scheduler=instantiate(recipe.scheduler, _convert_="all") if recipe.scheduler else None,
        schedule=recipe.schedule,
        monitor=recipe.monitor,
        new_layers_lr_factor=recipe.new_layers_lr_factor,
        pretrained=loaded.pretrained,
        seed=config.seed,
        channels_last=machine.channels_last,
        compiled=config.trainer.compile,
        frozen_batchnorm=recipe.freeze_batchnorm,
        provenance={
            "config": _plain(config),
            "classes": list(VOC_CLASSES),
            "versions": versions(),
            "fingerprint": fingerprint,
            "weights": loaded.summary,
        },
    )
    return built, loaded.summary


def variants(config: DictConfig) -> dict[str, Variant]:
    """Named ways from logits to labels."""
    built = {}
    for name, choice in config.variants.items():
        looks: dict[str, Any] = dict(choice.get("inference") or {})
        if "scales" in looks:
            looks["scales"] = tuple(looks["scales"])
        crf = None
        if choice.get("guidance") is not None:
            crf = DenseCRF(presets.parameters(choice.get("crf") or config.crf), choice.guidance)
        rule, options = choice.get("fusion"), dict(choice.get("options") or {})
        built[str(name)] = Variant(crf, partial(fusion.RULES[rule], **options) if rule else None, Inference(**looks))
    return built


def scorer(config: DictConfig, machine: Hardware) -> VariantScorer:
    """The scorer of all variants, with the engine that their CRFs need."""
    chosen = variants(config)
    needed = any(variant.crf is not None for variant in chosen.values())
    return VariantScorer(chosen, len(VOC_CLASSES), engine(config, machine) if needed else None)


def engine(config: DictConfig, machine: Hardware) -> Engine:
    """What runs the CRFs."""
    return ENGINES[config.crf.engine](machine.device, machine.cores)


def versions() -> dict[str, str]:
    """Of the project and of what its numbers depend on."""
    packages = ("torch", "torchvision", "lightning", "torchmetrics", "numpy")
    return {"seglab": src.__version__, **{name: version(name) for name in packages}}


def _plain(config: DictConfig) -> dict[str, Any]:
    content = OmegaConf.to_container(config, resolve=True)
    assert isinstance(content, dict)
    return {str(key): value for key, value in content.items()}
