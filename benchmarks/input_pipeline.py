"""Training images per second beside torchvision's reference segmentation presets, on real images.

The presets (references/segmentation/presets.py, not part of the package) are rewritten here from torchvision's public
transforms: resize the shorter side, flip, crop, convert, normalise; with the PIL backend, their default, and with
tensors. All draw scale factors of 0.5 to 2 of the image's own size, crop 513, no colour jitter, batches of 8 from 2
workers.
"""

import io
import os
import random
import time
from pathlib import Path

import cv2
import numpy as np
import simplejpeg
import torch
import torchvision.transforms as T
from PIL import Image
from rich.progress import Progress
from torch.utils.data import DataLoader, Dataset
from torchvision.io import decode_jpeg
from torchvision.transforms import functional as F

from benchmarks.rows import Row, in_turns, ratios
from src.data.cache import PixelCache
from src.data.datasets import TrainSet
from src.data.files.folder import ImageFolder
from src.data.sources.voc import locate, voc_folder
from src.data.transforms import Augment, ready
from src.models.backbones import MEAN, STD

SAMPLE = Path(os.environ.get("SEGLAB_SAMPLE", "../shared/data/voc2012_sample"))
CROP = 513
STILL = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}
FULL = {"brightness": 0.2, "contrast": 0.2, "saturation": 0.2, "hue": 0.05}


class Presets(Dataset):
    """torchvision's SegmentationPresetTrain on the same files."""

    def __init__(self, folder: ImageFolder, ids: list[str], *, pil: bool):
        self.folder, self.ids, self.pil = folder, ids, pil

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int):
        image = Image.open(self.folder.image_path(self.ids[index])).convert("RGB")
        target = Image.open(self.folder.mask_path(self.ids[index]))
        if not self.pil:
            image, target = F.pil_to_tensor(image), F.pil_to_tensor(target)
        size = int(min(F.get_image_size(image)) * random.uniform(0.5, 2.0))
        image = F.resize(image, size, antialias=True)
        target = F.resize(target, size, interpolation=T.InterpolationMode.NEAREST)
        if random.random() < 0.5:
            image, target = F.hflip(image), F.hflip(target)
        image, target = self._padded(image, 0), self._padded(target, 255)
        window = T.RandomCrop.get_params(image, (CROP, CROP))
        image, target = F.crop(image, *window), F.crop(target, *window)
        if self.pil:
            image, target = F.pil_to_tensor(image), torch.as_tensor(np.array(target), dtype=torch.int64)
        else:
            target = target.squeeze(0).to(torch.int64)
        image = F.convert_image_dtype(image, torch.float)
        return F.normalize(image, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)), target

    def _padded(self, image, fill: int):
        width, height = F.get_image_size(image)
        missing = (0, 0, max(0, CROP - width), max(0, CROP - height))
        return F.pad(image, missing, fill=fill) if any(missing) else image


def loader(dataset: Dataset, images: int) -> DataLoader:
    order = [(0, i) for i in range(len(dataset))] if isinstance(dataset, TrainSet) else list(range(len(dataset)))
    order = (order * (1 + images // len(order)))[:images]
    return DataLoader(dataset, batch_size=8, sampler=order, num_workers=2, persistent_workers=True, drop_last=True)


def rate(batches: DataLoader, *, is_ours: bool) -> float:
    """Images per second of an epoch, what is left to do on the device included."""
    started, count = time.perf_counter(), 0
    for batch in batches:
        count += len(ready(batch, mean=MEAN, std=STD, channels_last=True)["image"] if is_ours else batch[0])
    return count / (time.perf_counter() - started)


def decoders(folder: ImageFolder, ids: list[str], progress: Progress, rounds: int) -> list[Row]:
    """One JPEG to RGB in memory: simplejpeg, which we read with, beside those that come with other packages."""
    files = [folder.image_path(image).read_bytes() for image in ids]
    ways = {
        "simplejpeg": lambda data: simplejpeg.decode_jpeg(data, "RGB", strict=True),
        "OpenCV": lambda data: cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB),
        "PIL": lambda data: np.asarray(Image.open(io.BytesIO(data)).convert("RGB")),
        "torchvision": lambda data: decode_jpeg(torch.frombuffer(bytearray(data), dtype=torch.uint8)),
    }

    def turn(way) -> float:
        started = time.perf_counter()
        for data in files:
            way(data)
        return (time.perf_counter() - started) / len(files)

    turns = {name: lambda way=way: turn(way) for name, way in ways.items()}
    found = in_turns(turns, rounds=rounds, progress=progress, what="decoders")
    shown = {name: f"{1000 * np.median(seconds):.2f} ms" for name, seconds in found.items()}
    return [
        Row(
            "decoding a JPEG",
            shown["simplejpeg"],
            f"{name} {shown[name]}",
            ratios(found[name], found["simplejpeg"]),
            "",
        )
        for name in ("OpenCV", "PIL", "torchvision")
    ]


def measure(progress: Progress, *, rounds: int = 5, images: int = 176) -> list[Row]:
    root = locate(SAMPLE)
    if root is None:
        return [Row("images/s of the input pipeline", "", f"no images in {SAMPLE}", [], ">= 2")]
    folder = voc_folder(root)
    ids = sorted(path.stem for path in (root / "JPEGImages").glob("*.jpg"))

    def augment(jitter):
        return Augment(crop=CROP, scale=(0.5, 2.0), flip=0.5, jitter=jitter, squash=False, void=255)

    def cache():
        return PixelCache(folder, ids, limit=10**9)

    sets = {
        "ours": TrainSet(folder, ids, augment(STILL), seed=0),
        "cached": TrainSet(cache(), ids, augment(STILL), seed=0),
        "jitter": TrainSet(cache(), ids, augment(FULL), seed=0),
        "pil": Presets(folder, ids, pil=True),
        "tensor": Presets(folder, ids, pil=False),
    }
    loaders = {name: loader(dataset, images) for name, dataset in sets.items()}
    turns = {name: lambda name=name: rate(loaders[name], is_ours=name in ("ours", "cached", "jitter")) for name in sets}
    torch.set_num_threads(1)  # the workers have the cores
    found = in_turns(turns, rounds=rounds, progress=progress, what="input pipeline")
    rows = decoders(folder, ids, progress, rounds)
    torch.set_num_threads(os.cpu_count() or 1)
    median = {name: f"{np.median(values):.0f}/s" for name, values in found.items()}

    def row(what: str, ours: str, theirs: str, target: str = ">= 2") -> Row:
        beside = f"presets, {'PIL' if theirs == 'pil' else 'tensors'} {median[theirs]}"
        return Row(f"input, {what}", median[ours], beside, ratios(found[ours], found[theirs]), target)

    return [
        *rows,
        row("decoding each time", "ours", "pil"),
        row("decoding each time", "ours", "tensor"),
        row("decoded images kept", "cached", "pil"),
        row("decoded images kept", "cached", "tensor"),
        row("kept, and colour jitter that theirs has not", "jitter", "pil", ""),
    ]
