"""Checks of what a command works on: a run, a checkpoint, a file or a folder of logits. No torch."""

import re
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from src.core.errors import InputError
from src.runs import hub
from src.runs.checks.network import need


def check_source(config: DictConfig) -> None:
    """Raise InputError unless exactly one source of predictions is given, it exists, and the protocol is valid."""
    offered = [key for key in ("run", "checkpoint", "onnx", "logits") if key in config]
    given = [key for key in offered if config[key] is not None]
    if len(given) != 1:
        words = ", ".join(f"{key}={'FOLDER' if key in ('run', 'logits') else 'FILE'}" for key in offered)
        raise InputError(f"give exactly one of {words}; given: {', '.join(given) or 'none'}.")
    key, path = given[0], Path(config[given[0]])
    if key == "run" and hub.is_address(config.run):
        hub.check_address(f"run={hub.PREFIX}", config.run.removeprefix(hub.PREFIX))
        need("run=hf:", "huggingface_hub")
    elif not path.exists():
        raise InputError(f"{key}={path}: does not exist.")
    elif key in ("run", "logits") and not path.is_dir():
        raise InputError(f"{key}={path}: is a file, but a folder is needed; for a checkpoint use checkpoint=PATH.")
    if key == "onnx":
        need("onnx=FILE", "onnxruntime")
    for word in HydraConfig.get().overrides.task if "recipe" in config else ():
        if re.match(r"[+~]*recipe\b", word):
            raise InputError(f"{word}: the recipe belongs to the training; for the protocol of scoring use protocol=.")


def check_format(config: DictConfig) -> None:
    """Raise InputError for an export that cannot be made, or whose packages are missing."""
    if config.format == "folder":
        need("format=folder", "safetensors")
    else:
        for module in ("onnx", "onnxscript", "onnxruntime"):
            need("format=onnx", module)
    if config.push is not None:
        hub.check_address("push=", config.push, revision=False)
        need("push=", "huggingface_hub")
        if config.format != "folder":
            raise InputError(f"push={config.push}: sends a folder; add format=folder.")
    if config.int8 and config.format != "onnx":
        raise InputError("int8=true: is for format=onnx.")
    if config.trainer.devices != 1 or config.trainer.nodes != 1 or config.trainer.accelerator != "cpu":
        raise InputError(
            "trainer: an export is compared on one CPU; leave trainer out, or only change trainer.workers."
        )
