"""Checkpoints: written whole or not at all; read as tensors and plain values, never code."""

import pickle
import warnings
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io import TorchCheckpointIO
from torch import Tensor

from src.core.errors import InputError
from src.core.files import replacing


def load_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint that `src.train` wrote.

    Args:
        path: `best.ckpt` or `last.ckpt` of a run folder; the file may have been moved.

    Returns:
        Lightning's dict; under "seglab" the resolved config, class names, versions and data fingerprint.

    Raises:
        InputError: the file is missing, not a checkpoint, of another project, or holds pickled code (which is not run).
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
    return content


def read_plain(path: Path) -> Any:
    """The content of a file written by `torch.save`, if it holds only tensors and plain values.

    Raises:
        FileNotFoundError: the file is missing.
        InputError: the file has another format, is damaged, or holds pickled code (which is not run).
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about the pickle protocol of other projects' files
            return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise
    except pickle.UnpicklingError as error:
        if "Unsupported global" in str(error) or "Unsupported class" in str(error):
            raise InputError(
                f"{path} holds pickled code, which is not run; only tensors and plain values are read."
            ) from error
        raise InputError(f"{path} is not a PyTorch checkpoint, or is damaged: fetch it again.") from error
    except Exception as error:  # on arbitrary bytes the unpickler may raise anything
        raise InputError(f"{path} is not a PyTorch checkpoint, or is damaged: fetch it again.") from error


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
