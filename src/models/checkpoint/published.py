"""A folder to share: `model.safetensors`, `config.yaml`, `classes.yaml` and a model card; no code, no pickle.

It holds what scoring needs and nothing else: the weights that were scored, names, and plain values.
"""

from importlib.metadata import version
from pathlib import Path
from typing import Any

from src.core.compose import read_mapping
from src.core.errors import InputError
from src.core.values import check_config, check_mapping, check_text, many, parts, whole
from src.models.checkpoint.plain import read_safetensors

WEIGHTS, CONFIG, CLASSES, CARD = "model.safetensors", "config.yaml", "classes.yaml", "README.md"
FILES = (WEIGHTS, CONFIG, CLASSES, CARD)

_CONFIG = parts(
    {"seglab": parts({"config": check_mapping}, more=True), "epoch": whole(0, 10**9), "step": whole(0, 10**18)},
    more=True,
)
_CLASSES = parts({"names": many(check_text, 2)}, more=True)


def is_published(path: Path) -> bool:
    """Whether a path names the weights of such a folder, not a checkpoint."""
    return path.name == WEIGHTS


def read_published(path: Path) -> dict[str, Any]:
    """The content of a folder to share, under the keys that a checkpoint has.

    Args:
        path: of its `model.safetensors`; the other files lie beside it.

    Raises:
        FileNotFoundError: the weights are missing.
        InputError: another file is missing, or one holds something else.
    """
    state = read_safetensors(path)
    config = _read(path.with_name(CONFIG), _CONFIG)
    classes = _read(path.with_name(CLASSES), _CLASSES)
    return {
        "seglab": {**config["seglab"], "classes": classes},
        "state_dict": {f"network.{key}": value for key, value in state.items()},
        "epoch": config["epoch"],
        "global_step": config["step"],
        "pytorch-lightning_version": version("lightning"),  # nothing in it is Lightning's, so nothing is to be migrated
    }


def _read(path: Path, check: Any) -> dict[str, Any]:
    content = read_mapping(path, f"{path.parent}")
    try:
        check_config(content, check)
    except InputError as error:
        raise InputError(f"{path}: is not what `python -m src.export` writes: {error}") from error
    return content
