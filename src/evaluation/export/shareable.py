"""A stored config as others may see it: names and numbers, no folders of the machine that it was trained on."""

import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import yaml
from omegaconf import DictConfig

from src.core.names import CONF
from src.core.values import as_dict
from src.models.backbones import Channels

_KEPT = ("backbone", "head", "loss", "data", "recipe", "crf", "variants", "plugins", "seed")
_ABSOLUTE = re.compile(r"~|/|\\\\|[A-Za-z]:[\\/]|file://")


def shareable(config: DictConfig) -> dict[str, Any]:
    """The groups that scoring or training again needs, as plain values.

    Of a path that begins at the root of a disk or in a home folder, only the last name is kept; `data.root` becomes the
    one in `conf/data`.
    """
    content = as_dict(config)
    found: dict[str, Any] = {key: _without_folders(content[key]) for key in _KEPT if key in content}
    if _ABSOLUTE.match(str(content["data"]["root"])):
        found["data"]["root"] = _usual_root(str(content["data"]["name"]))
    return found


def described(
    config: DictConfig, seglab: Mapping[str, Any], *, mean: Channels, std: Channels, source: str
) -> dict[str, Any]:
    """What a reader of exported weights must know: config, normalisation, data fingerprint, versions, origin.

    Args:
        config: of the checkpoint, checked.
        seglab: what the checkpoint holds under "seglab".
        mean: that the network wants.
        std: that the network wants.
        source: SHA-256 of the checkpoint.
    """
    known = {key: dict(seglab[key]) for key in ("fingerprint", "versions") if isinstance(seglab.get(key), Mapping)}
    weights = seglab.get("weights")
    if isinstance(weights, str):
        known["weights"] = _without_paths_inside(weights)  # type: ignore[assignment]
    normalization = {"mean": list(mean), "std": list(std)}
    return {"config": shareable(config), "normalization": normalization, **known, "checkpoint": source}


def _without_folders(node: Any) -> Any:
    if isinstance(node, dict):
        return {
            _last_name(key) if isinstance(key, str) else key: _without_folders(value) for key, value in node.items()
        }
    if isinstance(node, list):
        return [_without_folders(value) for value in node]
    return _last_name(node) if isinstance(node, str) else node


def _last_name(text: str) -> str:
    return PurePath(text.replace("\\", "/")).name or "." if _ABSOLUTE.match(text) else text


def _without_paths_inside(text: str) -> str:
    """A sentence with absolute paths in it cut to their last names; addresses stay."""
    return re.sub(r"(?<![\w:/.])[~/][^\s;,()]*/([^\s;,()/]+)", r"\1", text)


def _usual_root(name: str) -> str:
    """The folder that `conf/data/NAME.yaml` names, else one of this name below `data`."""
    path = CONF / "data" / f"{name}.yaml"
    content = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}
    root = content.get("root")
    return root if isinstance(root, str) and "${" not in root else f"data/{name}"
