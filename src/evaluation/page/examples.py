"""Images of the val list that a visitor of the page may take, with their truth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from omegaconf import DictConfig
from PIL import Image

from src.core.errors import InputError
from src.core.files.alone import only_reading
from src.data.datamodule import SegmentationDataModule
from src.evaluation import build
from src.evaluation.machine.hardware import Hardware
from src.evaluation.page.answer import photo_uri
from src.evaluation.page.upload import Picture
from src.runs.checks.commands import check_data_set

_THUMBNAIL = 160  # px of the longer side


class Examples:
    """Some images of a data set, spread evenly over its val list; a browser names them by their number.

    Args:
        data: the data set.
        ids: of the images.
        most: px; larger images are left out, as the page cannot label them at their own size.
    """

    def __init__(self, data: SegmentationDataModule, ids: Sequence[str], *, most: int) -> None:
        self.data = data
        self.thumbnails: list[dict[str, str]] = []
        self._ids: list[str] = []
        for image_id in ids:
            width, height = data.folder.size(image_id)
            if width * height <= most:
                rgb = data.folder.read_image(image_id)
                small = Image.fromarray(rgb)
                small.thumbnail((_THUMBNAIL, _THUMBNAIL))
                self._ids.append(image_id)
                self.thumbnails.append({"id": image_id, "photo": photo_uri(np.asarray(small))})

    def picture(self, number: object) -> Picture:
        """The image of a number and its truth; raises InputError if there is none."""
        if not isinstance(number, int) or not 0 <= number < len(self._ids):
            raise InputError("there is no such example.")
        rgb, truth = self.data.folder.read_pair(self._ids[number])
        return Picture(self._ids[number], rgb, truth)


def examples_of(settled: DictConfig, machine: Hardware, *, count: int, most: int) -> Examples:
    """Examples of the data set of a config, which is only read.

    Raises:
        InputError: the data set is not there, or cannot be read.
    """
    check_data_set(settled)
    data = build.datamodule(settled, machine)
    data.prepare = only_reading(data.prepare)
    data.prepare_data()
    ids = data.ids("val")
    places = np.linspace(0, len(ids), min(count, len(ids)), endpoint=False).astype(int)
    return Examples(data, [ids[k] for k in places], most=most)
