"""The LightningDataModule over any folder of images and masks."""

import atexit
import hashlib
import multiprocessing
import signal
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

import lightning.pytorch as pl
from torch.utils.data import DataLoader

from src.core import processes
from src.core.errors import InputError
from src.data.cache import PixelCache
from src.data.datasets import EpochSampler, EvalSet, Reader, TrainSet
from src.data.files.folder import ImageFolder
from src.data.files.splits import Splits
from src.data.transforms import Augment


class SegmentationDataModule(pl.LightningDataModule):
    """Serves a data set.

    Args:
        prepare: makes or finds the data under `root` and gives the folder with the images.
        root: folder where the data is or will be.
        split: from that folder to the training and validation images.
        augment: from image and mask to a training sample.
        batch_size: training images per step, over all processes; an incomplete last batch is dropped.
        protocol: how images are evaluated, `voc` or `squash224`.
        workers: processes that load training images.
        pin_memory: for transfers to a GPU.
        cache: bytes of decoded images that may be kept in memory; 0 keeps none.
        seed: for order and augmentation.
    """

    def __init__(
        self,
        *,
        prepare: Callable[..., Path],
        root: Path,
        split: Callable[[Path], Splits],
        augment: Augment,
        batch_size: int,
        protocol: Literal["voc", "squash224"],
        workers: int,
        pin_memory: bool,
        cache: int,
        seed: int,
    ) -> None:
        super().__init__()
        self.prepare = prepare
        self.root = root
        self.split = split
        self.augment = augment
        self.batch_size = batch_size
        self.protocol: Literal["voc", "squash224"] = protocol
        self.workers = workers
        self.pin_memory = pin_memory
        self.cache = cache
        self.seed = seed
        self.found: Splits | None = None
        self.pixels: PixelCache | None = None
        self.origins: dict[str, str] = {}  # asked for when logits are looked for, checked and read
        self.started: DataLoader[dict[str, Any]] | None = None  # validation loader, until Lightning asks for it

    def prepare_data(self) -> None:
        """Find, download or generate the data; a second call only finds it."""
        self.prepare(root=self.root)

    def setup(self, stage: str = "fit") -> None:
        """Open the folder, once."""
        if self.found is None:
            self.found = self.split(self.prepare(root=self.root))

    @property
    def splits(self) -> Splits:
        """Which images are trained on and which are scored."""
        self.setup()
        assert self.found is not None
        return self.found

    @property
    def folder(self) -> ImageFolder:
        """The images and their masks."""
        return self.splits.folder

    def ids(self, split: str) -> list[str]:
        """Ids of "train" or "val" within the limit; val without the images that are left out."""
        return self.splits.ids(split)

    def overlap(self) -> int:
        """Number of images in both training and validation: 0 in an honest run."""
        return len(set(self.ids("train")) & set(self.ids("val")))

    def summary(self) -> str:
        """Counts for the screen, with a warning if validation images are also trained on."""
        counts = f"{len(self.ids('train'))} train, {self.val_summary()}"
        seen = self.overlap()
        return f"{counts}; WARNING: {seen} val images are trained on, so val scores say nothing" if seen else counts

    def val_summary(self) -> str:
        """Number of the images that are scored, and why some are not."""
        kept = self.ids("val")
        missing = len(self.splits.listed("val")) - len(kept)
        tuned = ", ".join(self.splits.left_out)
        reason = f" ({missing} are left out: {tuned} was tuned on them)" if missing else ""
        return f"{len(kept)} val images{reason}"

    def fingerprint(self, splits: Sequence[str] = ("train", "val")) -> dict[str, str]:
        """Per split, a hash of ids and file sizes; it shows whether two runs saw the same data."""
        return {split: self.splits.fingerprint(split) for split in splits}

    def fingerprint_of(self, ids: Sequence[str]) -> str:
        """The same hash of some images."""
        return self.folder.fingerprint(ids)

    def origin(self, image_id: str) -> str:
        """16 hex digits, equal for equal inputs of a network: a hash of the image's file, white and protocol."""
        if image_id not in self.origins:
            content = self.folder.image_path(image_id).read_bytes()
            self.origins[image_id] = hashlib.sha256(self._reading().encode() + content).hexdigest()[:16]
        return self.origins[image_id]

    def _reading(self) -> str:
        """What decides, beside an image's file, which pixels the network gets."""
        white = self.folder.white
        return self.protocol if white is None else f"{self.protocol} {white}"

    def remember(self) -> str:
        """Keep decoded images from now on, if wanted and possible; returns a message about it."""
        ids = [*self.ids("train"), *self.ids("val")]
        if self.cache == 0:
            return "no decoded image is kept"
        if not PixelCache.is_shared(self.workers):
            return "no decoded image is kept: data workers share no memory on this system"
        self.pixels = self.pixels or PixelCache(self.folder, ids, limit=self.cache)
        return str(self.pixels)

    def train_dataloader(self) -> DataLoader[dict[str, Any]]:
        """Augmented batches; fewer images than one batch is an error, not an empty epoch.

        Validation workers start here, too, while this process is still small: after a fork, each page that a process
        writes to is copied, and both processes keep a copy.
        """
        ids = self.ids("train")
        if len(ids) < self.batch_size:
            raise InputError(self._too_few(len(ids)))
        if self.started is None:
            self.started = self._started()
        return DataLoader(
            TrainSet(self._reader(), ids, self.augment, seed=self.seed),
            batch_size=self.batch_size // processes.count(),
            sampler=EpochSampler(len(ids), batch_size=self.batch_size, seed=self.seed, epoch=self._epoch),
            **self._loading(len(ids) // self.batch_size),
        )

    def _too_few(self, count: int) -> str:
        """What to do if the training list has fewer images than a batch."""
        rule = self.splits.train
        some = f"{count} image{'s' * (count != 1)}"
        few = f"recipe.batch_size={self.batch_size}: the training list '{rule}' of {self.root} has {some}"
        if rule.limit is not None:
            few += f" up to data.train_limit={rule.limit}"
        share = processes.count()
        possible = count // share * share
        if possible < max(2, share):
            return f"{few}, and a training step needs at least {max(2, share)}; give more images."
        return f"{few} and an incomplete batch is dropped; use recipe.batch_size={possible} or less."

    def val_dataloader(self) -> DataLoader[dict[str, Any]]:
        """Whole validation images, one by one, each at its own size; each process gets a different part."""
        started, self.started = self.started, None
        return self._started() if started is None else started

    def _started(self) -> DataLoader[dict[str, Any]]:
        """The validation loader with its workers already running."""
        ids = self.ids("val")
        if len(ids) < processes.count():
            raise InputError(f"{processes.count()} processes share {len(ids)} val images: use fewer (trainer.devices).")
        loader = self.whole_images(ids)
        if loader.num_workers > 0:
            iter(loader)
        return loader

    def whole_images(self, ids: Sequence[str]) -> DataLoader[dict[str, Any]]:
        """A loader of whole images with these ids; a process may get none."""
        own = ids[processes.rank() :: processes.count()]
        return DataLoader(self.samples(own), batch_size=1, **self._loading(len(own)))

    def samples(self, ids: Sequence[str]) -> EvalSet:
        """The samples with these ids, without batches and workers."""
        return EvalSet(self._reader(), list(ids), self.protocol)

    def test_dataloader(self) -> DataLoader[dict[str, Any]]:
        """The validation images: the test set's truth is not public."""
        return self.val_dataloader()

    def _reader(self) -> Reader:
        return self.pixels or self.folder

    def _epoch(self) -> int:
        """Number of the epoch that starts; correct in a resumed run, too."""
        if self.trainer is None:
            return 0
        progress: Any = self.trainer.fit_loop.epoch_progress.current
        return int(progress.processed)

    def _loading(self, batches: int) -> Mapping[str, Any]:
        """Options of a loader; more workers than batches would have nothing to do."""
        workers = min(self.workers, batches)
        if workers > 0:
            _end_workers_at_exit()
        return {
            "num_workers": workers,
            "pin_memory": self.pin_memory,
            "persistent_workers": workers > 0,
            "worker_init_fn": _leave_signals_alone,
        }


@cache
def _end_workers_at_exit() -> None:
    """End workers that an error has left, when this process exits: Python would send SIGTERM, and wait for ever."""

    def end() -> None:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # torch's would complain
        for child in multiprocessing.active_children():
            if child.daemon:
                child.kill()

    atexit.register(end)  # after Python's own, so that it runs before


def _leave_signals_alone(worker: int) -> None:
    """Ignore what asks the command to end: `timeout` and clusters send it to workers, too, which the command ends."""
    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
