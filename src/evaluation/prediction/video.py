"""Videos: frames in, a video of overlays out, as fast as the original."""

import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from rich.progress import Progress

from src.core.errors import InputError
from src.core.files.whole import replacing
from src.data.classes import Labels, Pixels, label_type
from src.data.files.photos import VIDEOS
from src.evaluation.prediction.folder import Entry, PredictionFolder
from src.evaluation.prediction.pictures import frame_picture
from src.evaluation.prediction.predictor import Predictor
from src.evaluation.prediction.windows import in_windows, window_for, windows_note
from src.evaluation.prediction.writer import Photo, entry_of
from src.evaluation.scoring.results import as_labels

_USUAL = 25.0  # frames per second, where a file does not say it


def is_video(path: Path) -> bool:
    """Whether a file is a video, by the end of its name."""
    return path.suffix.lower() in VIDEOS


def label_video(photo: Photo, predictor: Predictor, folder: PredictionFolder, window: int | str | None) -> Entry:
    """Write the overlays of a video's frames, and count the pixels of all.

    Args:
        photo: the video's file and name.
        predictor: has one variant; its network is on the device already.
        folder: for the video.
        window: for large frames, see `window_for`.

    Raises:
        InputError: OpenCV cannot read the file, or cannot write videos.
    """
    (variant,) = predictor.variants
    classes = predictor.classes
    target = folder.video(photo.name)
    target.parent.mkdir(parents=True, exist_ok=True)
    pixels, sums = torch.zeros(len(classes), dtype=torch.int64), torch.zeros(len(classes), dtype=torch.float64)
    video = _opened(photo.path)
    rate, count = video.get(cv2.CAP_PROP_FPS) or _USUAL, int(video.get(cv2.CAP_PROP_FRAME_COUNT))
    shape, frames, side = (0, 0), 0, None
    with replacing(target, durable=False) as temporary, Progress(transient=True) as bar:
        named = temporary.with_suffix(".mp4")  # the ending tells OpenCV the format
        writer: cv2.VideoWriter | None = None
        try:
            for rgb in bar.track(_frames(video), total=count or None, description=photo.path.name):
                shape = (rgb.shape[0], rgb.shape[1])
                if frames == 0:  # all frames have one size, and are treated alike
                    side = window_for(predictor, shape, window)
                labels, summaries = _labelled(predictor, rgb, variant, side)
                picture = frame_picture(rgb, labels, classes)
                writer = writer or _writer(named, rate, (picture.shape[0], picture.shape[1]))
                writer.write(np.ascontiguousarray(picture[..., ::-1]))
                for found in summaries:
                    for total, part in zip((pixels, sums), found, strict=True):
                        total += part
                frames += 1
        finally:
            video.release()
            if writer is not None:
                writer.release()
            if named.exists():
                named.replace(temporary)
        if writer is None:
            raise InputError(f"{photo.path} has no frame that OpenCV can read; convert it to mp4")
    if side is not None:
        photo.notes.append(windows_note(side))
    photo.rgb = np.empty((shape[0], shape[1], 0), np.uint8)
    photo.notes.append(f"{frames} frames; pixels and share are those of all frames together")
    return entry_of(photo, pixels, sums, classes, time.perf_counter() - photo.started, frames=frames)


def _labelled(
    predictor: Predictor, rgb: Pixels, variant: str, side: int | None
) -> tuple[Labels, list[tuple[torch.Tensor, torch.Tensor]]]:
    """The labels (H, W) of a frame, and the summaries of its parts: of windows of `side` px, or of the whole."""
    if side is None:
        found = predictor(rgb)[variant]
        return as_labels(found.labels, predictor.classes), [found.summary()]
    labels = np.empty(rgb.shape[:2], label_type(len(predictor.classes)))
    summaries = []
    for stripe in in_windows(predictor, rgb, variant, side):
        labels[stripe.place] = as_labels(stripe.prediction.labels, predictor.classes)
        summaries.append(stripe.prediction.summary())
    return labels, summaries


def _opened(path: Path) -> "cv2.VideoCapture":
    if not path.is_file():
        raise InputError(f"{path} is missing, or is no file")
    video = cv2.VideoCapture(str(path))
    if not video.isOpened():
        raise InputError(f"{path} is no video that OpenCV can read; convert it to mp4")
    return video


def _frames(video: "cv2.VideoCapture") -> Iterator[Pixels]:
    """The frames (H, W, 3) RGB."""
    while True:
        is_there, frame = video.read()
        if not is_there:
            return
        yield np.ascontiguousarray(frame[..., ::-1], dtype=np.uint8)


def _writer(path: Path, rate: float, shape: tuple[int, int]) -> "cv2.VideoWriter":
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), rate, shape[::-1])
    if not writer.isOpened():
        raise InputError(f"{path}: this OpenCV cannot write mp4; label the frames as images")
    return writer
