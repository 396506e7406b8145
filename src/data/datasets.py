"""Data sets of augmented images and of whole images, and the order of images in an epoch."""

from collections.abc import Callable, Iterator
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

from src.core import processes
from src.data.classes import Labels, Pixels
from src.data.transforms import Augment, evaluation_sample


class Reader(Protocol):
    """An `ImageFolder`, or a cache in front of one."""

    def read_pair(self, image_id: str) -> tuple[Pixels, Labels]:
        """Image (H, W, 3) uint8 and mask (H, W); the caller may change them."""
        ...


class TrainSet(Dataset[dict[str, Any]]):
    """Augmented images. The key of an item is (epoch, index); its randomness depends only on this key and the seed."""

    def __init__(self, reader: Reader, ids: list[str], augment: Augment, *, seed: int) -> None:
        self.reader = reader
        self.ids = ids
        self.augment = augment
        self.seed = seed

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Any]:
        """Sample with rgb (crop, crop, 3), mask (crop, crop) and id."""
        epoch, index = key
        generator = _generator(self.seed, epoch, index)
        rgb, mask = self.reader.read_pair(self.ids[index])
        return {**self.augment(rgb, mask, generator), "id": self.ids[index]}


class EvalSet(Dataset[dict[str, Any]]):
    """Whole images, in the order of the list."""

    def __init__(self, reader: Reader, ids: list[str], protocol: Literal["voc", "squash224"]) -> None:
        self.reader = reader
        self.ids = ids
        self.protocol = protocol

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Sample with rgb, mask and id; see `evaluation_sample`."""
        rgb, mask = self.reader.read_pair(self.ids[index])
        return {**evaluation_sample(rgb, mask, self.protocol), "id": self.ids[index]}


class EpochSampler(Sampler[tuple[int, int]]):
    """A permutation per epoch as (epoch, index) pairs; gives this process's share of each batch.

    It depends only on (seed, epoch), so the batches are the same for any number of processes. An incomplete last batch
    is left out: a single image would break the BatchNorm of ASPP pooling. The epoch is part of the key because workers
    live longer than an epoch. `epoch` is called when an iterator is made, because Lightning calls `set_epoch` too late
    in a resumed run: after the first iterator.

    Args:
        size: number of images.
        batch_size: images per step over all processes, a multiple of the number of processes.
        seed: for the permutation.
        epoch: gives the number of the epoch that starts.
    """

    def __init__(self, size: int, *, batch_size: int, seed: int, epoch: Callable[[], int]) -> None:
        self.batches = size // batch_size
        self.size = size
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = epoch
        self.rank, self.processes = processes.rank(), processes.count()

    def __len__(self) -> int:
        return self.batches * self.batch_size // self.processes

    def __iter__(self) -> Iterator[tuple[int, int]]:
        epoch = self.epoch()
        order = torch.randperm(self.size, generator=_generator(self.seed, epoch))
        shape = self.batches, self.processes, self.batch_size // self.processes
        batches = order[: self.batches * self.batch_size].reshape(shape)
        return iter([(epoch, i) for i in batches[:, self.rank].flatten().tolist()])


def _generator(*key: int) -> torch.Generator:
    """Each key of non-negative integers gives its own random stream, the same on every platform."""
    state = np.random.SeedSequence(key).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state[0] >> 1))
