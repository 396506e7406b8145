"""A hash of what a config asks for: equal for runs that ask the same of the same data. Imports no torch."""

import hashlib
import json
from typing import Any

from omegaconf import DictConfig

from src.core.values import as_dict
from src.scoring.presets import tuned_on

# Keys that do not change a result: places of files, display, and how jobs run.
_NOT_IDENTITY = (
    "name",
    "runs",
    "resume",
    "overwrite",
    "logger",
    "panels",
    "table",
    "jobs",
    "keep_logits",
    "output",
    "dry_run",
)
_ADDRESSES = ("url", "sbd_url", "download")  # of the data; its checksums stay
_TRAINER_IDENTITY = ("precision", "max_time")


def identity(config: DictConfig) -> str:
    """Eight hex digits of the SHA-256 of the resolved config; equal for runs that ask the same of the same data."""
    return _hash(circumstances_left_out(config))


def training_identity(config: DictConfig) -> str:
    """The same hash for the training alone: without the CRF and the variants that score the network afterwards."""
    asked = {key: value for key, value in circumstances_left_out(config).items() if key not in ("crf", "variants")}
    left_out = {name: sorted(ids) for name, ids in tuned_on(config).items()}  # not validated on
    return _hash({**asked, "left_out": left_out} if left_out else asked)


def circumstances_left_out(config: DictConfig) -> dict[str, Any]:
    """The resolved config without the keys that do not change a result."""
    content = as_dict(config)
    kept = {key: value for key, value in content.items() if key not in _NOT_IDENTITY}
    kept["trainer"] = {key: content["trainer"].get(key) for key in _TRAINER_IDENTITY}
    kept["data"] = {key: value for key, value in content["data"].items() if key != "root"}
    if isinstance(classes := kept["data"].get("classes"), dict):  # their order is that of the labels
        by_colour = kept["data"].get("colours") is not None
        kept["data"]["classes"] = [[name, colour] for name, colour in classes.items()] if by_colour else [*classes]
    kept["data"]["prepare"] = {k: v for k, v in content["data"].get("prepare", {}).items() if k not in _ADDRESSES}
    for crf in (kept.get("crf"), *(variant.get("crf") for variant in (kept.get("variants") or {}).values() if variant)):
        if isinstance(crf, dict):
            crf.pop("batch", None)  # how many images an engine takes at a time
    kept["plugins"] = sorted((content.get("plugins") or {}).values())  # by their content, not their path
    return kept


def evaluation_name(config: DictConfig) -> str:
    """Name for a folder of scores: the data, the CRF, and a hash of the whole question."""
    return f"{config.data.name}-{config.crf.name}-{identity(config)}"


def _hash(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]
