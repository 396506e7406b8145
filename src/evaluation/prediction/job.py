"""Many images: read ahead, labelled in one or several processes, written down one by one."""

import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import RichProgressBar
from omegaconf import DictConfig
from rich.console import Console

from src.core import processes
from src.core.command.entry import is_main
from src.core.errors import InputError, printable
from src.core.memory import forget_locals, is_memory
from src.data.files.photos import absolute, names_of, read_photo
from src.evaluation.machine.trainer import running_trainer
from src.evaluation.prediction.folder import Entry, PredictionFolder
from src.evaluation.prediction.predictor import Predictor
from src.evaluation.prediction.question import Question
from src.evaluation.prediction.video import is_video, label_video
from src.evaluation.prediction.windows import LARGEST, in_windows, window_for, windows_note
from src.evaluation.prediction.writer import Photo, Writer

_AHEAD = 3  # images that are read while the network works


class Photos(pl.LightningDataModule):
    """This process's share of the images, read by a thread; one that cannot be read says why.

    Args:
        photos: all images of the call, those that are done already as None, so that each process knows its share.
        white: the value of white in images of more than 8 bits.
    """

    def __init__(self, photos: Sequence[Photo | None], white: int | None) -> None:
        super().__init__()
        self.photos, self.white = photos, white
        self.allow_zero_length_dataloader_with_multiple_devices = True  # if fewer images than processes are left

    def predict_dataloader(self) -> "Photos":
        """See Lightning; any sized iterable is a loader."""
        return self

    def __len__(self) -> int:
        return len(self._own())

    def __iter__(self) -> Iterator[Photo]:
        with ThreadPoolExecutor(1) as pool:
            reading: deque[Future[Photo]] = deque()
            for photo in self._own():
                reading.append(pool.submit(self._read, photo))
                if len(reading) > _AHEAD:
                    yield reading.popleft().result()
            while reading:
                yield reading.popleft().result()

    def _own(self) -> list[Photo]:
        mine = self.photos[processes.rank() :: processes.count()]
        return [photo for photo in mine if photo is not None]

    def _read(self, photo: Photo) -> Photo:
        try:
            rgb, notes = read_photo(photo.path, white=self.white)
            return Photo(photo.name, photo.path, rgb, notes)
        except InputError as error:
            return Photo(photo.name, photo.path, error=str(error))


class Predicting(pl.LightningModule):
    """Takes the place of a network in the Trainer's predict: hands the labels of each image to a writer.

    Args:
        predictor: labels the images; it has one variant.
        writer: writes them.
        window: see `window_for`.

    Attributes:
        unread: the images that could not be read, and why; after the end, those of all processes.
        notes: what was done to images, in words, with their paths; after the end, those of all processes.
    """

    def __init__(self, predictor: Predictor, writer: Writer, window: int | str | None) -> None:
        super().__init__()
        self.task = predictor.task  # so that the Trainer moves it to the device
        self.predictor, self.writer, self.window = predictor, writer, window
        (self.variant,) = predictor.variants
        self.unread: list[tuple[str, str]] = []
        self.notes: list[tuple[str, str]] = []

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """The predictor does this itself."""
        return batch

    def predict_step(self, photo: Photo, index: int) -> None:
        """Label one image; the labels of those before may come with it."""
        if photo.error:
            self.unread.append((str(photo.path), photo.error))
            return
        side = window_for(self.predictor, (photo.rgb.shape[0], photo.rgb.shape[1]), self.window)
        fresh = Photo(photo.name, photo.path, photo.rgb, photo.notes)  # its time begins now
        if side is None and self._whole(fresh):
            return
        side = side or LARGEST
        fresh.notes.append(windows_note(side))
        self._remember(fresh)
        self.writer.stripes(fresh, in_windows(self.predictor, fresh.rgb, self.variant, side))

    def _whole(self, photo: Photo) -> bool:
        """Label an image at once; false if memory ran out."""
        try:
            seen = self.predictor.look(photo.rgb)
        except (RuntimeError, MemoryError) as error:
            if not is_memory(error):
                raise
            forget_locals(error)
            return False
        self._remember(photo)
        for done, found in self.predictor.add(photo, seen):
            self.writer.whole(done, found[self.variant])
        return True

    def _remember(self, photo: Photo) -> None:
        self.notes += [(note, str(photo.path)) for note in photo.notes]

    def on_predict_epoch_end(self) -> None:
        """Write the images that are left; then every process knows what all could not read."""
        for done, found in self.predictor.finish():
            self.writer.whole(done, found[self.variant])
        self.writer.wait(0)
        self.unread = sorted(one for part in processes.gather(self.unread) for one in part)
        self.notes = sorted(one for part in processes.gather(self.notes) for one in part)


def predict(
    paths: Sequence[Path], predictor: Predictor, asked: Question, output: Path, config: DictConfig, console: Console
) -> list[tuple[str, str]]:
    """Label the images that are not done yet, and write the table of all.

    Args:
        paths: of the images.
        predictor: has the variant that is asked for.
        asked: kept in the folder; another question's answers are not mixed in.
        output: the folder.
        config: of the command.
        console: says what was done.

    Returns:
        The images that cannot be read, and why.
    """
    folder, first = PredictionFolder(output), is_main(config)
    folder.begin(asked, first=first)
    names, done = names_of(paths), folder.done()
    with Writer(folder, predictor.classes, probabilities=config.probabilities) as writer:
        every = [_missing(name, path, done, folder, writer) for name, path in zip(names, paths, strict=True)]
        videos = [photo for photo in every if photo is not None and is_video(photo.path)]
        photos = [photo if photo is not None and not is_video(photo.path) else None for photo in every]
        left = sum(photo is not None for photo in photos)
        already = len(every) - left - len(videos)
        console.print(f"images      {len(every)}{f'; {already} of them are done already' if already else ''}")
        job = Predicting(predictor, writer, config.window)
        if left:
            started = time.perf_counter()
            try:
                with running_trainer(
                    predictor.machine, output, callbacks=[RichProgressBar(leave=False)], logger=False
                ) as trainer:
                    trainer.predict(job, datamodule=Photos(photos, asked.asked["white"]), return_predictions=False)
            finally:
                if first:
                    folder.write_table(names)
            seconds = time.perf_counter() - started
            count = left - len(job.unread)
            console.print(f"predicted   {count} images in {seconds:.1f} s: {count / seconds:.3g} images/s")
    if videos and first:
        if config.probabilities:
            console.print("note        probabilities=true writes those of images, not of videos")
        job.unread += _label_videos(videos, predictor, folder, config.window, console)
        folder.write_table(names)
    _tell(job, console)
    console.print(printable(f"written     {folder.table}; labels/, overlays/ beside it"), soft_wrap=True)
    return job.unread


def _missing(
    name: str, path: Path, done: Mapping[str, Entry], folder: PredictionFolder, writer: Writer
) -> Photo | None:
    """The image, unless it is done.

    Raises:
        InputError: its results would replace the image itself, or those of another image of this name.
    """
    files = [folder.video(name)] if is_video(path) else writer.files(name)
    if path in map(absolute, files):
        raise InputError(f"{path}: its labels would replace it; choose another output.")
    entry = done.get(name)
    return None if entry is not None and folder.is_current(entry, path, files) else Photo(name, path)


def _label_videos(
    videos: Sequence[Photo], predictor: Predictor, folder: PredictionFolder, window: int | str | None, console: Console
) -> list[tuple[str, str]]:
    """Label videos one after the other; returns those that cannot be read, and why."""
    predictor.task.to(predictor.machine.device)
    unread = []
    for photo in videos:
        started = time.perf_counter()
        try:
            entry = label_video(Photo(photo.name, photo.path), predictor, folder, window)
        except InputError as error:
            unread.append((str(photo.path), str(error)))
            continue
        folder.note(entry, processes.rank())
        rate = entry.frames / (time.perf_counter() - started)
        more = "".join(f", {note}" for note in entry.notes[:-1])  # the last one is on the counts
        text = f"video       {folder.video(photo.name)}: {entry.frames} frames, {rate:.3g} a second{more}"
        console.print(printable(text))
    return unread


def _tell(job: Predicting, console: Console) -> None:
    """Say what was done to images, and which of them could not be read."""
    for note in dict.fromkeys(note for note, _ in job.notes):
        files = [path for other, path in job.notes if other == note]
        more = f" and {len(files) - 1} more" if len(files) > 1 else ""
        console.print(printable(f"note        {files[0]}{more}: {note}"), soft_wrap=True)
    for _, error in job.unread:
        console.print(printable(f"unreadable  {error}"), soft_wrap=True)
