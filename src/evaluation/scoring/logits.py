"""Logits kept in files, so that questions about CRFs and fusion need no network pass."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import BasePredictionWriter
from rich.console import Console
from torch import Tensor

from src.core.errors import InputError
from src.core.files.whole import check_room, in_bytes, replacing
from src.data.classes import differing_classes
from src.data.datamodule import SegmentationDataModule
from src.models.deeplab import resize_logits

_OTHER_IMAGES = "the logits are of another image of this name, or of another protocol; choose another folder"
SOURCE = "source.sha256"  # hash of the checkpoint that the logits come from


def read_logits(path: Path, classes: Sequence[str], origin: str | None = None) -> Tensor:
    """The array `logits` of an npz file, (C, h, w) finite, as float32.

    Args:
        path: of the file.
        classes: names of the C classes; files of other programs have none, and are believed.
        origin: of the image that they should be of, see `SegmentationDataModule.origin`; files of other programs have
            none, and are believed.

    Raises:
        InputError: the file is missing or damaged, or its logits are of another image or number of classes.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            found = str(file["origin"]) if "origin" in file else None
            names = file["classes"].tolist() if "classes" in file else None
            logits = file["logits"].astype(np.float32)
    except FileNotFoundError:
        raise InputError(f"{path}: missing; every image needs its logits (data.val_list chooses the images).") from None
    except KeyError:
        raise InputError(f"{path}: holds no array 'logits'; save it with numpy.savez(path, logits=...).") from None
    except Exception as error:  # on damaged bytes, zip and NumPy may raise anything
        raise InputError(f"{path}: cannot be read as an npz file ({error}).") from error
    if origin is not None and found is not None and found != origin:
        raise InputError(f"{path}: {_OTHER_IMAGES}.")
    if names is not None and (differ := differing_classes([str(name) for name in names], classes)):
        raise InputError(f"{path}: the logits are of other classes than the data ({differ}).")
    if logits.ndim != 3 or len(logits) != len(classes) or 0 in logits.shape or not np.isfinite(logits).all():
        raise InputError(
            f"{path}: logits must be finite and ({len(classes)}, h, w), a layer per class of data; got {logits.shape}."
        )
    return torch.from_numpy(logits)


def read_resized(
    folder: Path, image_id: str, like: Tensor, classes: Sequence[str], origin: str | None = None
) -> Tensor:
    """Logits (C, H, W) of an image from `folder/ID.npz`, at the size of `like` (..., H, W); see `read_logits`."""
    found = read_logits(folder / f"{image_id}.npz", classes, origin)
    return resize_logits(found[None], (like.shape[-2], like.shape[-1]))[0]


def fit(folder: Path, ids: Sequence[str], data: SegmentationDataModule) -> bool:
    """Whether the kept logits of these images, as far as there are any, are of the images in the data set."""
    return all(_origin(folder / f"{image}.npz") in (None, data.origin(image)) for image in ids)


def _origin(path: Path) -> str | None:
    """The origin of kept logits; None if they are missing or damaged."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return str(file["origin"]) if "logits" in file else None
    except Exception:  # on damaged bytes, zip and NumPy may raise anything
        return None


class LogitsWriter(BasePredictionWriter):
    """Writes `predict_step`'s results to `folder/ID.npz`; files are complete or absent.

    Each holds `logits` (C, h, w) float16, the `origin` of its image, and the names of the network's `classes`.
    """

    def __init__(self, folder: Path, images: int, data: SegmentationDataModule, console: Console) -> None:
        super().__init__("batch")
        self.folder = folder
        self.data = data
        self.images = images
        self.console = console
        self.checked = False

    def write_on_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        prediction: Any,
        batch_indices: Sequence[int] | None,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int,
    ) -> None:
        """Write each image of a batch; before the first one, print the total size and check that there is room."""
        for image_id, logits in zip(prediction["id"], prediction["logits"], strict=True):
            array = logits.to("cpu", torch.float16).numpy()
            if not self.checked:
                self._check_room(array.nbytes)
            path = self.folder / f"{image_id}.npz"  # `keep` makes damaged files again
            with replacing(path, durable=False) as temporary, temporary.open("wb") as file:
                names = np.array(pl_module.classes)
                np.savez(file, logits=array, origin=np.array(self.data.origin(image_id)), classes=names)

    def _check_room(self, size: int) -> None:
        self.checked = True
        need = size * self.images
        self.console.print(f"logits      {self.images} files of {in_bytes(size)}, {in_bytes(need)} in all")
        check_room(self.folder, need, f"logits of {self.images} images")


def keep(
    folder: Path,
    ids: Sequence[str],
    checkpoint: Path,
    task: pl.LightningModule,
    data: SegmentationDataModule,
    trainer: pl.Trainer,
    console: Console,
) -> None:
    """Compute the logits that are not yet in the folder, at the network's own resolution.

    Args:
        folder: made if needed; a folder with logits of another checkpoint is an error.
        ids: of the images.
        checkpoint: its weights are filled into the task.
        task: made from the checkpoint's config.
        data: where the images are read from.
        trainer: runs the network.
        console: prints how much will be written.

    Raises:
        InputError: the folder holds other logits, of another network or of other images, or there is no room.
    """
    folder.mkdir(parents=True, exist_ok=True)
    source = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    mark = folder / SOURCE
    if any(folder.glob("*.npz")) and (not mark.exists() or mark.read_text(encoding="utf-8") != source):
        raise InputError(f"{folder}: holds logits of another network; choose another folder.")
    if trainer.is_global_zero:
        with replacing(mark) as temporary:
            temporary.write_text(source, encoding="utf-8")
    origins = {image: _origin(folder / f"{image}.npz") for image in ids}
    if strange := [image for image, found in origins.items() if found not in (None, data.origin(image))]:
        raise InputError(f"{folder / strange[0]}.npz: {_OTHER_IMAGES}.")
    missing = [image for image in ids if origins[image] is None]
    trainer.strategy.barrier()  # all processes must have checked the folder before one writes
    if len(missing) < len(ids):
        console.print(f"logits      {len(ids) - len(missing)} of {len(ids)} are already in {folder}", soft_wrap=True)
    if missing:
        writer = LogitsWriter(folder, len(missing), data, console)
        trainer.callbacks.append(writer)  # type: ignore[attr-defined]
        images = _Images(data, missing)
        trainer.predict(task, datamodule=images, return_predictions=False, ckpt_path=checkpoint, weights_only=True)
        trainer.strategy.barrier()  # each process reads what others have written


class _Images(pl.LightningDataModule):
    """Some images of a data set; the loader is made after the processes that share them have met."""

    def __init__(self, data: SegmentationDataModule, ids: Sequence[str]) -> None:
        super().__init__()
        self.data, self.ids = data, ids
        self.allow_zero_length_dataloader_with_multiple_devices = True  # if fewer images are missing

    def predict_dataloader(self) -> Any:
        """See `whole_images`."""
        return self.data.whole_images(self.ids)
