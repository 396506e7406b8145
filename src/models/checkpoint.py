"""Reading a checkpoint of this project: tensors and plain values only, never code."""

import pickle
import warnings
from pathlib import Path
from typing import Any

import torch

from src.core.errors import InputError


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
