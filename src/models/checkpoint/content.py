"""The content of a checkpoint, or of a folder to share: is each key there, and of its kind?"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from src.core.errors import InputError
from src.core.values import check_mapping, check_plain, check_text, many, number, parts, shown, whole
from src.data.classes import MOST
from src.models.backbones import MEAN, STD, Channels
from src.models.checkpoint.plain import read_plain
from src.models.checkpoint.published import is_published, read_published


def _tensors(key: str, value: Any) -> None:
    check_mapping(key, value)
    for name, one in value.items():
        if not isinstance(name, str) or not isinstance(one, Tensor):
            raise InputError(f"{key}.{shown(name)}: must be a tensor, is a {type(one).__name__}.")


def _version(key: str, value: Any) -> None:
    if not isinstance(value, str) or not re.fullmatch(r"\d+\.\d+[\w.+]{0,50}", value):
        raise InputError(f"{key}={shown(value)}: must be a version, such as 2.6.0.")


def _group(key: str, value: Any) -> None:
    parts({"lr": number(0, 1e38), "params": many(whole(0, 10**6))}, more=True)(key, value)
    check_plain(key, value)


_CLASSES = parts({"names": many(check_text, 2, MOST)}, more=True)
_NORMALIZATION = parts({"mean": many(number(-1000, 1000), 3, 3), "std": many(number(1e-3, 1000), 3, 3)})
_SCORED = {
    "seglab": parts({"config": check_mapping, "classes": _CLASSES}, {"normalization": _NORMALIZATION}, more=True),
    "state_dict": _tensors,
    "epoch": whole(0, 10**9),
    "global_step": whole(0, 10**18),
}
_RESUMED = {
    **_SCORED,
    "seglab": parts(
        {"config": check_mapping, "classes": _CLASSES, "fingerprint": parts({"val": check_text}, more=True)},
        {"normalization": _NORMALIZATION},
        more=True,
    ),
    "optimizer_states": many(parts({"state": check_mapping, "param_groups": many(_group, 1)}, more=True), 1, 1),
    "lr_schedulers": many(check_mapping, 0, 1),
    "loops": parts({"fit_loop": check_mapping}, more=True),
    "callbacks": check_mapping,
    "pytorch-lightning_version": _version,
}


def load_checkpoint(path: Path, *, training: bool = False) -> dict[str, Any]:
    """The content of a checkpoint that `src.train` wrote; each key that is read later has a value of its kind.

    Args:
        path: `best.ckpt` or `last.ckpt` of a run folder, or `model.safetensors` of a folder that `src.export` wrote;
            the file may have been moved, the folder only as a whole.
        training: whether a training goes on from it, which needs more keys than scoring.

    Returns:
        Lightning's dict; under "seglab" the resolved config, class names, versions and data fingerprint.

    Raises:
        InputError: the file is missing, not a checkpoint, of another project, edited, or holds pickled code (which is
            not run).
    """
    try:
        content = read_published(path) if is_published(path) else read_plain(path)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such checkpoint; a run folder holds best.ckpt and last.ckpt.") from None
    if not isinstance(content, dict) or "seglab" not in content:
        raise InputError(
            f"{path} is a checkpoint of something else: it does not hold the config of a run of this project. "
            "To start from other weights, use backbone.weights=PATH."
        )
    try:
        parts(_RESUMED if training else _SCORED, more=True)("", content)
    except InputError as error:
        raise InputError(f"{path}: was edited, or is of another version of this project: {error}") from error
    return content


def normalization(seglab: Mapping[str, Any]) -> tuple[Channels, Channels]:
    """Mean and standard deviation that a checkpoint's network wants; ImageNet's where it is older than this entry.

    Args:
        seglab: what a checkpoint holds under "seglab".
    """
    stored = seglab.get("normalization") or {"mean": MEAN, "std": STD}
    mean, std = (tuple(float(value) for value in stored[key]) for key in ("mean", "std"))
    return (mean[0], mean[1], mean[2]), (std[0], std[1], std[2])
