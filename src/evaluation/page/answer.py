"""What networks, CRFs and fusion rules make of an image, as plain values that the page's script draws."""

from __future__ import annotations

import base64
import io
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image

from src.data.classes import Classes, Labels, Pixels
from src.evaluation.page.networks import Network
from src.evaluation.page.upload import Picture
from src.evaluation.prediction.pictures import as_png, label_picture
from src.evaluation.prediction.predictor import Seen
from src.evaluation.scoring.results import as_labels
from src.scoring.confusion import confusion_matrix
from src.scoring.metrics import image_miou, margins
from src.scoring.variants import Variant

_KEPT = 2**29  # bytes of probabilities that are kept: six images of a million px for 21 classes


class Answers:
    """Labels images with one or two networks. The network's pass of the last images is kept, so a slider is fast.

    Args:
        networks: beside each other.
        classes: those of the examples' truth.
    """

    def __init__(self, networks: Sequence[Network], classes: Classes) -> None:
        self.networks = networks
        self.classes = classes
        self._seen: OrderedDict[Picture, list[Seen]] = OrderedDict()

    def forget(self, picture: Picture | None) -> None:
        """Drop what is kept of an image."""
        if picture is not None:
            self._seen.pop(picture, None)

    def answer(self, picture: Picture, variants: Sequence[Mapping[str, Variant]]) -> dict[str, Any]:
        """The image, the truth, and the labels of each network's variants.

        Args:
            picture: the image.
            variants: for each network; see `Controls.variants`.
        """
        started = time.perf_counter()
        seen = self._look(picture)
        looked = time.perf_counter()
        rows = [
            self._row(network, one, chosen, picture)
            for network, one, chosen in zip(self.networks, seen, variants, strict=True)
        ]
        height, width = picture.rgb.shape[:2]
        return {
            "name": picture.name,
            "notes": [*picture.notes],
            "width": width,
            "height": height,
            "photo": photo_uri(picture.rgb),
            "truth": None if picture.truth is None else _map_uri(picture.truth),
            "truth_classes": _plain(self.classes),
            "rows": rows,
            "seconds": {"network": looked - started, "crf": time.perf_counter() - looked},
        }

    def _look(self, picture: Picture) -> list[Seen]:
        if picture not in self._seen:
            self._seen[picture] = [network.predictor.look(picture.rgb) for network in self.networks]
            while len(self._seen) > 1 and sum(map(_size, self._seen.values())) > _KEPT:
                self._seen.popitem(last=False)
        self._seen.move_to_end(picture)
        return self._seen[picture]

    def _row(self, network: Network, seen: Seen, variants: Mapping[str, Variant], picture: Picture) -> dict[str, Any]:
        classes = network.predictor.classes
        truth = picture.truth if classes.names == self.classes.names else None
        panels = []
        for name, found in network.predictor.label(seen, variants).items():
            labels = as_labels(found.labels, classes)
            panel = {"title": name, "map": _map_uri(labels), "file": _uri(as_png(label_picture(labels, classes)))}
            panels.append({**panel, "miou": None if truth is None else _own_miou(labels, truth, len(classes))})
        return {"name": network.name, "classes": _plain(classes), "scored": truth is not None, "panels": panels}


def _size(seen: Sequence[Seen]) -> int:
    return sum(probs.nbytes for one in seen for probs in one.probs.values())


def _plain(classes: Classes) -> dict[str, Any]:
    return {**classes.plain(), "background": classes.background, "void": classes.void}


def _own_miou(labels: Labels, truth: Labels, count: int) -> float | None:
    """The mIoU of an image over its true and predicted classes; None if all of its truth is void."""
    given, wanted = (torch.from_numpy(one.astype(np.int64)) for one in (labels, truth))
    found = float(image_miou(margins(confusion_matrix(given, wanted, count).numpy())[None])[0])
    return None if np.isnan(found) else found


def photo_uri(rgb: Pixels) -> str:
    """An image (H, W, 3) for the eye, as the address of itself."""
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, format="JPEG", quality=92)
    return _uri(buffer.getvalue(), "jpeg")


def _map_uri(labels: Labels) -> str:
    """Labels (H, W) for the script: a PNG whose red is the lower byte and whose green is the higher one."""
    coded = np.stack([labels & 255, labels.astype(np.int32) >> 8, np.zeros_like(labels)], -1).astype(np.uint8)
    return _uri(as_png(Image.fromarray(coded)))


def _uri(data: bytes, kind: str = "png") -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
