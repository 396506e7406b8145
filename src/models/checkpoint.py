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
        path: `best.ckpt` or `last.ckpt` of a run folder, wherever it lies now.

    Returns:
        Lightning's dict; under "seglab" the resolved config, class names, versions and data fingerprint.

    Raises:
        InputError: no such file, no checkpoint, pickled code in it (which is not run), or another project's.
    """
    try:
        content = read_plain(path)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such checkpoint; a run folder holds best.ckpt and last.ckpt.") from None
    if not isinstance(content, dict) or "seglab" not in content:
        raise InputError(
            f"{path} is a checkpoint of something else: it does not carry the config of a run of this project; "
            "to start from foreign weights use backbone.weights=PATH."
        )
    return content


def read_plain(path: Path) -> Any:
    """What a file written by `torch.save` holds, if it is tensors and plain values alone.

    Raises:
        FileNotFoundError: no such file.
        InputError: no such format, damaged, or with pickled code in it, which is not run.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about the pickle protocol of files that are none of ours
            return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise
    except pickle.UnpicklingError as error:
        if "Unsupported global" in str(error) or "Unsupported class" in str(error):
            raise InputError(
                f"{path} holds pickled code, which is not run: only plain tensors and values are."
            ) from error
        raise InputError(f"{path} is not a PyTorch checkpoint, or is damaged: fetch it again.") from error
    except Exception as error:  # the unpickler meets arbitrary bytes and raises whatever they lead to
        raise InputError(f"{path} is not a PyTorch checkpoint, or is damaged: fetch it again.") from error
