"""Checkpoints: written whole or not at all; read as tensors and plain values, never code; are they what they say?"""

import io
import pickletools
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io import TorchCheckpointIO
from torch import Tensor

from src.core.errors import InputError
from src.core.files.reading import check_regular
from src.core.files.whole import replacing
from src.core.values import check_mapping, check_plain, check_text, many, number, parts, shown, whole
from src.data.classes import MOST
from src.models.backbones import MEAN, STD, Channels

NAMED = 4  # keys that an error message lists
_READ = 10_000_000  # bytes of a pickle in which names of code are looked for


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
        path: `best.ckpt` or `last.ckpt` of a run folder; the file may have been moved.
        training: whether a training goes on from it, which needs more keys than scoring.

    Returns:
        Lightning's dict; under "seglab" the resolved config, class names, versions and data fingerprint.

    Raises:
        InputError: the file is missing, not a checkpoint, of another project, edited, or holds pickled code (which is
            not run).
    """
    try:
        content = read_plain(path)
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


def check_weights(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: Path) -> None:
    """Raise InputError unless weights have the names and shapes of a network's, and are finite numbers.

    Args:
        found: the weights.
        expected: those of the network that they are for; only names, shapes and types are read.
        path: where the weights come from.
    """
    misfit = misfits(found, expected)
    if misfit:
        raise InputError(f"{path}: its weights do not fit the network of its config; wrong keys: {misfit}.")
    for name, value in found.items():
        is_plain = value.layout is torch.strided and value.device.type == "cpu" and not value.is_complex()
        if not is_plain or value.is_floating_point() != expected[name].is_floating_point():
            raise InputError(f"{path}: {name} is of the type {value.dtype}, which is not that of a weight.")
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise InputError(f"{path}: {name} holds numbers that are not finite; a network with them labels nothing.")
        if name.endswith("running_var") and bool((value < 0).any()):
            raise InputError(f"{path}: {name} holds negative variances.")


def misfits(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], *, optional: str = "\0") -> str:
    """Which keys are missing, unexpected or of another shape, as text; empty if none is.

    Args:
        found: some weights.
        expected: what they should be.
        optional: end of the names that may be missing.
    """
    missing = [key for key in expected if key not in found and not key.endswith(optional)]
    unexpected = [shown(key) for key in found if key not in expected]
    misshapen = [
        f"{key} {tuple(found[key].shape)} instead of {tuple(expected[key].shape)}"
        for key in expected
        if key in found and found[key].shape != expected[key].shape
    ]
    return "; ".join(
        f"{len(keys)} {label} ({', '.join(keys[:NAMED])}{', ...' if len(keys) > NAMED else ''})"
        for label, keys in (("missing", missing), ("unexpected", unexpected), ("of another shape", misshapen))
        if keys
    )


def check_state(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], complaint: str) -> None:
    """Raise InputError, which begins with the complaint, unless names and shapes fit and all numbers are finite."""
    if problems := misfits(found, expected, optional="num_batches_tracked"):  # it is missing in files before 2018
        raise InputError(f"{complaint}; wrong keys: {problems}; choose the backbone it was trained with")
    if bad := next((key for key, value in found.items() if not bool(value.isfinite().all())), None):
        raise InputError(f"{complaint}; {bad} holds numbers that are not finite")


def read_plain(path: Path) -> Any:
    """The content of a file written by `torch.save`, if it holds only tensors and plain values.

    Raises:
        FileNotFoundError: the file is missing.
        InputError: the file has another format, is damaged, or holds pickled code (which is not run).
    """
    check_regular(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about the pickle protocol of other projects' files
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # on arbitrary bytes the unpickler may raise anything
        code = _code_in(path)
        if code is None and "Unsupported global" in str(error):
            code = "a type of another library"
        if code is not None:
            raise InputError(
                f"{path} holds pickled code ({code}), which is not run; only tensors and plain values are read."
            ) from error
        raise InputError(f"{path} is not a PyTorch checkpoint, or is damaged: fetch it again.") from error


def _code_in(path: Path) -> str | None:
    """The first name in a pickle that is not of a tensor's parts; nothing is run. None if there is none."""
    texts: list[str] = []
    try:
        for operation, argument, _ in pickletools.genops(_pickle_in(path)):
            if operation.name in ("GLOBAL", "INST"):
                texts = str(argument).split(" ")
            elif operation.name != "STACK_GLOBAL":
                texts = [*texts[-1:], argument] if isinstance(argument, str) else texts
                continue
            if texts and texts[0].partition(".")[0] not in ("torch", "collections"):
                return shown(".".join(texts))
    except (OSError, ValueError, IndexError, zipfile.BadZipFile, NotImplementedError, RuntimeError):
        return None  # damaged
    return None


def _pickle_in(path: Path) -> io.BytesIO:
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            return io.BytesIO(file.read(_READ))
    with zipfile.ZipFile(path) as archive:
        name = next((name for name in archive.namelist() if name.endswith("data.pkl")), "")
        with archive.open(name) if name else io.BytesIO() as member:
            return io.BytesIO(member.read(_READ))


class WholeFiles(TorchCheckpointIO):
    """Writes Lightning's checkpoints beside their target and renames them.

    Lightning's own way writes to TMPDIR. If this is on another file system, it then copies over the old checkpoint, and
    a kill or a full disk during the copy leaves neither.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """See Lightning; raises InputError if it cannot be written."""
        with replacing(Path(path), size=size_of(checkpoint)) as temporary, temporary.open("wb") as file:
            torch.save(checkpoint, file)


def size_of(content: Any) -> int:
    """Bytes of all tensors in nested dicts and lists; a checkpoint of them is a little larger."""
    if isinstance(content, Tensor):
        return content.nbytes
    parts = content.values() if isinstance(content, dict) else content if isinstance(content, list | tuple) else ()
    return sum(map(size_of, parts))
