"""State dicts in files: those that `torch.save` wrote, and safetensors. Nothing in a file is run."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from src.core.errors import InputError
from src.models.checkpoint.fitting import NAMED
from src.models.checkpoint.plain import read_plain, read_safetensors


def read_state(path: Path) -> dict[str, Tensor]:
    """A state dict from a file that `torch.save` or safetensors wrote; raises InputError for anything else."""
    if path.suffix == ".safetensors":
        return read_safetensors(path)
    state = read_plain(path)
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        keys = f" but {', '.join(map(str, list(state)[:NAMED]))}" if isinstance(state, Mapping) else ""
        raise InputError(f"{path} does not hold a state dict{keys}: save network.state_dict()")
    return dict(state)
