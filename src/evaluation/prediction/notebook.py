"""A run in Python, for notebooks: `from src import load`, then `load("runs/A")("photo.jpg")`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hydra
import numpy as np
import numpy.typing as npt
from hydra.errors import HydraException
from PIL import Image, ImageOps
from torch import Tensor

from src.core.command.mistakes import sentence
from src.core.compose import composing, register
from src.core.errors import InputError
from src.core.files.whole import replacing
from src.data.classes import Classes, Labels, Pixels, label_type
from src.data.files.decoding import LARGEST, WIDE
from src.data.files.photos import read_photo
from src.evaluation import build, source
from src.evaluation.prediction.pictures import as_png, label_picture, overlay_picture
from src.evaluation.prediction.predictor import Predictor, opened
from src.evaluation.prediction.question import variant_of, white_of
from src.evaluation.prediction.windows import in_windows, window_for
from src.evaluation.scoring.results import as_labels
from src.runs.checks.commands import check_predict, prepare

Picture = str | Path | Image.Image | npt.NDArray[Any] | Tensor


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """The labels of an image. As the last line of a notebook's cell it is a picture.

    Attributes:
        labels: (H, W), uint8 for up to 255 classes, else int32.
        probabilities: (C, H, W) float32, sum 1 over C.
        classes: names, colours, and which class is the background.
        rgb: (H, W, 3) uint8, the image as it was labelled.
        variant: that made the labels.
    """

    labels: Labels
    probabilities: npt.NDArray[np.float32]
    classes: Classes
    rgb: Pixels
    variant: str

    def overlay(self) -> Image.Image:
        """The image in grey under the classes' colours, with a legend."""
        return overlay_picture(self.rgb, self.labels, self.classes)

    def save(self, path: str | Path) -> None:
        """Write the labels as a palette PNG, as `src.predict` does.

        Raises:
            InputError: the name does not end in .png: another format would change the labels.
        """
        path = Path(path)
        if path.suffix.lower() != ".png":
            raise InputError(f"{path}: labels are saved as .png; for a picture use result.overlay().save(path).")
        with replacing(path) as temporary:
            label_picture(self.labels, self.classes).save(temporary, format="PNG")

    def _repr_png_(self) -> bytes:
        return as_png(self.overlay())

    def __repr__(self) -> str:
        counts = np.bincount(self.labels.ravel(), minlength=len(self.classes))
        order = [int(label) for label in np.argsort(-counts, kind="stable") if counts[label]]
        shares = ", ".join(f"{self.classes.names[k]} {100 * counts[k] / self.labels.size:.1f} %" for k in order)
        return f"Result of {self.variant}, {self.labels.shape[1]} x {self.labels.shape[0]} px: {shares}"


class Model:
    """A loaded run; call it with an image.

    Attributes:
        variants: names of the ways to make labels.
        classes: of the labels.
    """

    def __init__(
        self, predictor: Predictor, closing: ExitStack, *, window: int | str | None, white: int | None
    ) -> None:
        self.predictor = predictor
        self.variants = tuple(predictor.variants)
        self.classes = predictor.classes
        self._closing, self._window, self._white = closing, window, white

    def __call__(self, image: Picture, variant: str | None = None) -> Result:
        """The labels of an image.

        Args:
            image: a path; an image of PIL; an array (H, W, 3) or (H, W), uint8 or float in 0..1; or a tensor (3, H, W),
                uint8 or float in 0..1. A path and an image of PIL are turned as their EXIF flag says.
            variant: one of `variants`; None: the network alone where the run has it, else the first one.

        Raises:
            InputError: the image is none, or cannot be read, or the variant does not exist.
        """
        name = variant_of(self.variants, variant)
        rgb = pixels_of(image, white=self._white)
        side = window_for(self.predictor, (rgb.shape[0], rgb.shape[1]), self._window)
        if side is None:
            chosen = self.predictor.variants[name]
            seen = self.predictor.look(rgb, (chosen.inference,))
            found = self.predictor.label(seen, {name: chosen})[name]
            labels = as_labels(found.labels, self.classes)
            return Result(labels, found.probs.cpu().numpy(), self.classes, rgb, name)
        labels = np.empty(rgb.shape[:2], label_type(len(self.classes)))
        probs = np.empty((len(self.classes), *rgb.shape[:2]), np.float32)
        for stripe in in_windows(self.predictor, rgb, name, side):
            labels[stripe.place] = stripe.prediction.labels.numpy()
            probs[:, stripe.place[0], stripe.place[1]] = stripe.prediction.probs.numpy()
        return Result(labels, probs, self.classes, rgb, name)

    def close(self) -> None:
        """End the threads and processes of the CRF engine; the program's end does it, too."""
        self._closing.close()

    def __repr__(self) -> str:
        return f"Model of {len(self.classes)} classes; variants: {', '.join(self.variants)}"


def load_run(run: str | Path, words: Sequence[str]) -> Model:
    """A run, or a checkpoint; see `src.load`."""
    path = Path(run).expanduser()
    typed = [*words]
    registered = register([f"{'run' if path.is_dir() else 'checkpoint'}='{path}'", "images=given", *typed])
    try:
        with composing():
            config = hydra.compose("predict", overrides=registered)
    except HydraException as error:
        raise InputError(sentence(error, "predict", typed)) from error
    prepare(config)
    check_predict(config)
    found = source.find(config)
    settled = source.settle(config, found, typed)
    machine = build.hardware(settled)
    closing = ExitStack()
    predictor = closing.enter_context(opened(settled, found, machine))
    predictor.task.to(machine.device)
    return Model(predictor, closing, window=config.window, white=white_of(config, settled))


def pixels_of(image: Picture, *, white: int | None = None) -> Pixels:
    """(H, W, 3) uint8 of whatever a notebook holds as an image; see `Model`."""
    if isinstance(image, str | Path):
        return read_photo(Path(image).expanduser(), white=white)[0]
    if isinstance(image, Image.Image):
        if image.mode.startswith(WIDE):  # Pillow would clip its values at 255
            raise InputError(
                f"an image of PIL in mode {image.mode} has more than 8 bits; give its path, with white=NUMBER."
            )
        return np.array(ImageOps.exif_transpose(image).convert("RGB"))
    if isinstance(image, Tensor):
        array = image.detach().cpu().numpy()
        array = array.transpose(1, 2, 0) if array.ndim == 3 else array
    elif isinstance(image, np.ndarray):
        array = image
    else:
        raise InputError(f"an image is a path, an image of PIL, an array or a tensor, not a {type(image).__name__}.")
    if array.ndim == 2:
        array = np.repeat(array[..., None], 3, 2)
    if array.ndim != 3 or array.shape[2] not in (3, 4) or 0 in array.shape:
        wanted = "a tensor is (3, H, W)" if isinstance(image, Tensor) else "an array is (H, W, 3)"
        raise InputError(f"{wanted}, RGB; got {tuple(image.shape)}.")
    if array.shape[0] * array.shape[1] > LARGEST:
        raise InputError(f"the image has more than {LARGEST / 1e6:.0f} million px; scale it down.")
    return np.ascontiguousarray(_as_bytes(array[..., :3]))


def _as_bytes(array: npt.NDArray[Any]) -> Pixels:
    if array.dtype == np.uint8:
        return array
    if np.issubdtype(array.dtype, np.floating) and float(array.min()) >= 0 and float(array.max()) <= 1:
        return np.asarray(np.rint(array * 255), np.uint8)
    low, high = array.min(), array.max()
    raise InputError(f"values are uint8, or floats in 0..1; got {array.dtype} from {low} to {high}.")
