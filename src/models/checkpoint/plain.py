"""Files that `torch.save` and safetensors wrote, read as tensors and plain values; nothing in a file is run."""

import io
import pickletools
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from src.core.errors import InputError
from src.core.files.reading import check_regular
from src.core.values import shown

_READ = 10_000_000  # bytes of a pickle in which names of code are looked for


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


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file by name; raises InputError for anything else."""
    check_regular(path)
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError:
        raise InputError(f"{path}: `pip install safetensors` installs what reads it.") from None
    try:
        state: dict[str, Tensor] = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{path} is not a safetensors file, or is damaged: fetch it again ({error}).") from error
    return state
