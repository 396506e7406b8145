"""Checks of backbone and head: names, weights, output stride. No torch."""

import re
from importlib.util import find_spec
from pathlib import Path

from omegaconf import DictConfig

from src.core.errors import InputError
from src.core.values import (
    check_choice,
    check_config,
    check_folder_name,
    check_path,
    check_text,
    choice,
    either,
    parts,
    shown,
)
from src.models.tables import ARCHS, NETWORKS

BACKBONE = parts(
    {"name": check_folder_name, "kind": check_text, "weights": either((None,), check_path)},
    {"model": check_text, "native_output_stride": choice(8, 16)},
    more=True,  # the options of a plugin's function
)
HEAD = parts({"name": check_text, "output_stride": choice(8, 16, 32)}, more=True)
RUN_WEIGHTS = ("best.ckpt", "model.safetensors")  # of a run folder, of a folder that was exported
SUFFIXES = (".pth", ".pt", ".bin", ".safetensors", ".ckpt")  # of files of weights
EXTRAS = {"timm": "timm"}  # kind of a backbone: the module it needs, which is also the name of the extra


def check_parts(config: DictConfig) -> None:
    """Raise InputError for a network that torchvision does not have, or a wrong output stride."""
    if config.backbone.kind in EXTRAS:
        _check_timm(config.backbone)
    check_config(config.backbone, BACKBONE, "backbone")
    check_config(config.head, HEAD, "head")
    if config.head.name == "smp":
        _check_smp(config)
    models = NETWORKS.get(config.backbone.kind)
    if models is not None:
        check_choice("backbone.model", config.backbone.get("model"), models)
        check_choice("head.output_stride", config.head.output_stride, (8, 16))


def _check_smp(config: DictConfig) -> None:
    """Raise InputError if smp is missing, has no such network, or the network and the encoder do not fit."""
    need("head.name=smp", "segmentation_models_pytorch")
    if config.backbone.kind in NETWORKS:
        raise InputError(f"head.name=smp: needs backbone=timm; {config.backbone.name} gives two features only.")
    check_choice("head.arch", config.head.get("arch"), ARCHS)
    check_choice("head.output_stride", config.head.output_stride, ARCHS[config.head.arch])


def _check_timm(backbone: DictConfig) -> None:
    """Raise InputError if timm is missing, or for a model that is no name, such as an address of a hub."""
    need("backbone.kind=timm", EXTRAS[backbone.kind])
    model = backbone.get("model")
    if not isinstance(model, str) or not re.fullmatch(r"\w{1,99}(\.\w{1,99})?", model):
        raise InputError(f"backbone.model={shown(model)}: must be a name of timm's, such as tf_efficientnet_lite0.")


def need(what: str, module: str) -> None:
    """Raise InputError if an optional module is not installed."""
    try:
        found = find_spec(module) is not None
    except ValueError:  # blocked by a None in sys.modules
        found = False
    if not found:
        raise InputError(f"{what}: {module} is not installed; `pip install {module}` installs it.")


def check_weights(backbone: DictConfig) -> None:
    """Raise InputError for weights that torchvision does not offer and that are neither a file nor a run."""
    weights, models = backbone.weights, NETWORKS.get(backbone.kind, {})
    if weights is None or weights.lower() == "none":
        return
    path = Path(weights).expanduser()
    if path.is_dir() and not any((path / name).is_file() for name in RUN_WEIGHTS):
        files = " and ".join(RUN_WEIGHTS)
        raise InputError(f"backbone.weights={shown(weights)}: is a folder without {files}, so not that of a run.")
    if not path.exists() and (len(path.parts) > 1 or path.suffix in SUFFIXES):
        raise InputError(f"backbone.weights={shown(weights)}: there is no such file.")
    if path.is_dir() or backbone.model not in models:
        return
    offered = models[backbone.model]
    if weights.rpartition(".")[2] not in (*offered, "DEFAULT") and not Path(weights).expanduser().is_file():
        raise InputError(
            f"backbone.weights={shown(weights)}: no such file, and {backbone.model} offers "
            f"{', '.join(offered)} or none."
        )
