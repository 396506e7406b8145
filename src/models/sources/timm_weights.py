"""Weights of timm's networks: published ones, or a file as timm saves a classifier. Never run as code."""

import hashlib
import os
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from src.core.errors import InputError
from src.core.files.alone import alone
from src.models.backbones import Backbone, Channels, Found
from src.models.checkpoint.fitting import check_state
from src.models.sources.files import read_state

PUBLISHED = "pretrained"  # the weights that timm takes by default, or those that `backbone.model` names


def find(backbone: Backbone, weights: str) -> Found:
    """Weights for a backbone.

    Args:
        backbone: one of timm's, as built.
        weights: `pretrained`; timm's name of published weights, such as `in1k`; or the path of a state dict or
            safetensors file of the whole classifier, whose last layer may have any number of classes.

    Raises:
        InputError: there are no such weights, they cannot be fetched, or they are of another network.
    """
    import timm
    from timm.models import get_pretrained_cfg

    base, _, named = backbone.model.partition(".")
    tags = [name.partition(".")[2] for name in timm.list_pretrained(f"{base}.*")]
    if weights != PUBLISHED and weights not in tags:
        path = Path(weights).expanduser()
        if not path.is_file():
            offered = ", ".join([PUBLISHED, *tags]) if tags else "no weights"
            raise InputError(f"backbone.weights={weights}: no such file, and for {base} timm offers {offered}, or none")
        return _fitted(backbone, read_state(path), str(path), get_pretrained_cfg(backbone.model))
    tag = named if weights == PUBLISHED else weights
    config = get_pretrained_cfg(f"{base}.{tag}" if tag else base)
    if config is None or not config.has_weights or config.custom_load:
        kind = "of another format" if config is not None and config.has_weights else "no weights"
        raise InputError(f"backbone.weights={weights}: for {base}.{tag} timm has {kind}; choose a file or none")
    path, address = _fetched(config)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    licence = f"licence {config.license}" if config.license else "timm knows no licence"
    source = f"timm's {base}.{config.tag} ({address}, SHA-256 {digest}, {licence})"
    return _fitted(backbone, read_state(path), source, config)


def _fitted(backbone: Backbone, state: dict[str, Tensor], source: str, config: Any) -> Found:
    """A classifier's weights as those of a backbone, after a check of every key that is not of its last layer."""
    import timm

    base = backbone.model.partition(".")[0]
    last = (config.classifier,) if isinstance(config.classifier, str) else tuple(config.classifier or ())

    def is_last(key: str) -> bool:
        return any(key.startswith(f"{name}.") for name in last)

    with torch.device("meta"):  # names and shapes only
        whole: Mapping[str, Tensor] = timm.create_model(base).state_dict()
    kept = {key: value for key, value in state.items() if not is_last(key)}
    check_state(kept, {key: value for key, value in whole.items() if not is_last(key)}, f"{source} does not fit {base}")
    by_name = {_plain(key): key for key in kept}
    assert len(by_name) == len(kept)
    used = {key: by_name[_plain(key)] for key in backbone.state_dict() if _plain(key) in by_name}
    left_out = sorted({key.split(".")[0] for key in state.keys() - set(used.values())})
    return Found({key: kept[name] for key, name in used.items()}, source, left_out, rgb(config.mean), rgb(config.std))


def _plain(key: str) -> str:
    """The same name for a weight in the classifier, `stages.0.x`, and in the backbone, `timm.stages_0.x`."""
    return key.removeprefix("timm.").removeprefix("model.").replace("_", ".")


def _fetched(config: Any) -> tuple[Path, str]:
    """The file of published weights, from where it was put, from a cache or from the network; and its address."""
    hub, file = config.hf_hub_id, config.hf_hub_filename or "model.safetensors"
    server = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    name = f"{config.architecture}.{config.tag}{Path(file).suffix}" if hub else Path(str(config.url)).name
    address = f"{server}/{hub}/resolve/main/{file}" if hub else str(config.url)
    place = Path(torch.hub.get_dir()) / "checkpoints" / name
    if place.is_file():
        return place, address
    if hub and (cached := _in_hub_cache(hub, file)) is not None:
        return cached, address
    try:
        with alone(place.parent):
            if not place.is_file():  # another process was faster
                torch.hub.download_url_to_file(address, str(place), None if hub else _hash_in(name), progress=True)
    except (OSError, HTTPException, RuntimeError) as error:  # offline, cut off, wrong hash
        raise InputError(
            f"timm's {config.architecture}.{config.tag} could not be fetched ({error}): put {address} at {place}, "
            "or set backbone.weights=PATH, or backbone.weights=none"
        ) from error
    return place, address


def _in_hub_cache(hub: str, file: str) -> Path | None:
    """The file in the cache of other programs that use Hugging Face's hub."""
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError:
        return None
    found = try_to_load_from_cache(hub, file)
    return Path(found) if isinstance(found, str) else None


def rgb(values: Any) -> Channels:
    """Three numbers of timm's, as Channels."""
    red, green, blue = (float(value) for value in values)
    return red, green, blue


def _hash_in(name: str) -> str | None:
    found = torch.hub.HASH_REGEX.search(name)
    return found.group(1) if found else None
