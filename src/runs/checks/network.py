"""Checks of backbone and head: names, weights, output stride. No torch."""

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
from src.models.tables import NETWORKS

BACKBONE = parts(
    {"name": check_folder_name, "kind": check_text, "weights": either((None,), check_path)},
    {"model": check_text, "native_output_stride": choice(8, 16)},
    more=True,  # the options of a plugin's function
)
HEAD = parts({"name": check_text, "output_stride": choice(8, 16)}, more=True)


def check_parts(config: DictConfig) -> None:
    """Raise InputError for a network that torchvision does not have, or a wrong output stride."""
    check_config(config.backbone, BACKBONE, "backbone")
    check_config(config.head, HEAD, "head")
    models = NETWORKS.get(config.backbone.kind)
    if models is not None:
        check_choice("backbone.model", config.backbone.get("model"), models)


def check_weights(backbone: DictConfig) -> None:
    """Raise InputError for weights that torchvision does not offer and that are no file."""
    weights, models = backbone.weights, NETWORKS.get(backbone.kind, {})
    if weights is None or weights.lower() == "none" or backbone.model not in models:
        return
    offered = models[backbone.model]
    if weights.rpartition(".")[2] not in (*offered, "DEFAULT") and not Path(weights).expanduser().is_file():
        raise InputError(
            f"backbone.weights={shown(weights)}: no such file, and {backbone.model} offers "
            f"{', '.join(offered)} or none."
        )
