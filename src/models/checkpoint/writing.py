"""How Lightning writes and reads checkpoints: whole or not at all, and also from a folder to share."""

from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io import TorchCheckpointIO
from torch import Tensor

from src.core.files.whole import replacing
from src.models.checkpoint.published import is_published, read_published


class WholeFiles(TorchCheckpointIO):
    """Writes Lightning's checkpoints beside their target and renames them.

    Lightning's own way writes to TMPDIR. If this is on another file system, it then copies over the old checkpoint, and
    a kill or a full disk during the copy leaves neither.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """See Lightning; raises InputError if it cannot be written."""
        with replacing(Path(path), size=size_of(checkpoint)) as temporary, temporary.open("wb") as file:
            torch.save(checkpoint, file)

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """See Lightning; the weights of a folder to share take the place of a checkpoint's."""
        if is_published(Path(path)):
            return read_published(Path(path))
        content: dict[str, Any] = super().load_checkpoint(path, weights_only=weights_only)
        return content


def size_of(content: Any) -> int:
    """Bytes of all tensors in nested dicts and lists; a checkpoint of them is a little larger."""
    if isinstance(content, Tensor):
        return content.nbytes
    parts = content.values() if isinstance(content, dict) else content if isinstance(content, list | tuple) else ()
    return sum(map(size_of, parts))
