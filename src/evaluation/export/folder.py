"""A folder to share: `model.safetensors`, `config.yaml`, `classes.yaml`, and a model card as `README.md`."""

from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig
from rich.console import Console

import src
from src.core.errors import InputError
from src.core.files.whole import in_bytes, replacing
from src.evaluation.export.card import card
from src.evaluation.export.network import Trained
from src.evaluation.source import Source
from src.models.checkpoint.published import CARD, CLASSES, CONFIG, WEIGHTS
from src.runs import hub

_PREFIX = "network."


def write(folder: Path, found: Trained, source: Source, config: DictConfig, console: Console) -> None:
    """Write the folder, and send it if `push` says where to.

    Raises:
        InputError: it cannot be written, or not be sent.
    """
    from safetensors.torch import save

    folder.mkdir(parents=True, exist_ok=True)
    if folder.resolve() == source.path.resolve():
        raise InputError(f"output={folder}: is the folder that is exported; choose another one.")
    state = {
        key.removeprefix(_PREFIX): value.contiguous().clone()
        for key, value in found.task.state_dict().items()
        if key.startswith(_PREFIX)
    }
    with replacing(folder / WEIGHTS) as temporary:
        temporary.write_bytes(save(state, metadata={"format": "pt", "seglab": src.__version__}))
    content = {"seglab": found.facts, "epoch": found.epoch, "step": found.step}
    _write_yaml(folder / CONFIG, content, "What the network is and what it was trained with: names, no code.")
    classes = {**found.classes.plain(), "void": found.classes.void}
    _write_yaml(folder / CLASSES, classes, "In the order of the labels; void is the label of pixels without a class.")
    size = sum(value.nbytes for value in state.values())
    text = card(found, source, parameters=found.task, resamples=config.resamples, name=config.push)
    with replacing(folder / CARD) as temporary:
        temporary.write_text(text, encoding="utf-8")
    console.print(f"written     {folder}: {WEIGHTS} ({in_bytes(size)}), {CONFIG}, {CLASSES}, {CARD}", soft_wrap=True)
    root, own = found.facts["config"]["data"]["root"], source.stored.data.root if source.stored is not None else None
    if str(root) != str(own):
        console.print(f"data.root   {own} is not passed on; the folder says {root}", soft_wrap=True)
    if config.push is not None:
        console.print(f"sent        {hub.sent(folder, config.push)}", soft_wrap=True)


def _write_yaml(path: Path, content: dict[str, Any], title: str) -> None:
    with replacing(path) as temporary:
        text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120, default_flow_style=None)
        temporary.write_text(f"# {title}\n{text}", encoding="utf-8")
