"""State dicts in files: those that `torch.save` wrote, and safetensors. Nothing in a file is run."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from src.core.errors import InputError
from src.core.files.reading import check_regular
from src.models.checkpoint import NAMED, read_plain


def read_state(path: Path) -> dict[str, Tensor]:
    """A state dict from a file that `torch.save` or safetensors wrote; raises InputError for anything else."""
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    state = read_plain(path)
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        keys = f" but {', '.join(map(str, list(state)[:NAMED]))}" if isinstance(state, Mapping) else ""
        raise InputError(f"{path} does not hold a state dict{keys}: save network.state_dict()")
    return dict(state)


def _read_safetensors(path: Path) -> dict[str, Tensor]:
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
