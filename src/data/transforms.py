"""From image and mask to a sample: joint augmentation for training, none for evaluation."""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import ColorJitter
from torchvision.transforms.v2 import functional as F

from src.crf.model import MEAN, STD
from src.data.voc import VOID
from src.errors import InputError

Pixels = npt.NDArray[np.uint8]
_FILL = [
    round(float(m) * 255) for m in MEAN
]  # what a crop beyond the image shows: the mean colour, zero once normalised
_TRIES = 10  # crops drawn before an image without labels in sight is taken as it is

PROTOCOLS = {"voc": None, "squash224": 224}  # name: side of the square that images are squashed to


def normalize(image: Tensor) -> Tensor:
    """(3, H, W) uint8 to float32 with ImageNet's mean and standard deviation."""
    normalized: Tensor = F.normalize(F.to_dtype(image, torch.float32, scale=True), MEAN.tolist(), STD.tolist())
    return normalized


class Augment:
    """Random scale, crop, flip and colour jitter, the same for image and mask; one worker-safe draw per call.

    Args:
        crop: side of the square crop in px.
        scale: smallest and largest factor of the image's size.
        flip: probability of a horizontal flip.
        jitter: strength of brightness, contrast, saturation (each 0..1) and hue (0..0.5).
        squash: resize to `crop` x `crop` whatever the aspect, instead of scaling and cropping.
    """

    def __init__(self, *, crop: int, scale: tuple[float, float], flip: float, jitter: dict[str, float], squash: bool):
        if crop < 1 or not 0 < scale[0] <= scale[1]:
            raise InputError(f"recipe.augment: crop={crop} must be above 0 and scale={list(scale)} rise from above 0.")
        self.crop = crop
        self.scale = scale
        self.flip = flip
        self.jitter = ColorJitter(**jitter)
        self.squash = squash

    def __call__(self, rgb: Pixels, mask: Pixels, generator: torch.Generator) -> dict[str, Any]:
        """Draw one training sample.

        Args:
            rgb: (H, W, 3).
            mask: (H, W) in {0..20, 255}.
            generator: source of all randomness.

        Returns:
            image (3, crop, crop) float32 normalised, mask (crop, crop) int64; beyond the image the mask is void.
        """
        image = tv_tensors.Image(torch.tensor(rgb).permute(2, 0, 1))
        target = tv_tensors.Mask(torch.tensor(mask)[None])
        if self.squash:
            image, target = _resize(image, target, self.crop, self.crop)
        else:
            image, target = self._scale_and_crop(image, target, generator)
        if _uniform(generator) < self.flip:
            image, target = F.horizontal_flip(image), F.horizontal_flip(target)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(torch.randint(2**31, (), generator=generator)))
            image = self.jitter(image)
        return {"image": normalize(image.as_subclass(Tensor)), "mask": target[0].as_subclass(Tensor).long()}

    def _scale_and_crop(self, image: Tensor, target: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        low, high = self.scale
        factor = low + (high - low) * _uniform(generator)
        height, width = (max(1, round(side * factor)) for side in image.shape[-2:])
        image, target = _resize(image, target, height, width)
        pad = [0, 0, max(0, self.crop - width), max(0, self.crop - height)]  # left, top, right, bottom
        image, target = F.pad(image, pad, fill=_FILL), F.pad(target, pad, fill=VOID)
        for _ in range(_TRIES):
            top = int(_uniform(generator) * (image.shape[-2] - self.crop + 1))
            left = int(_uniform(generator) * (image.shape[-1] - self.crop + 1))
            window = F.crop(target, top, left, self.crop, self.crop)
            if (window != VOID).any():
                break
        return F.crop(image, top, left, self.crop, self.crop), window


def evaluation_sample(rgb: Pixels, mask: Pixels, protocol: Literal["voc", "squash224"]) -> dict[str, Any]:
    """The sample that is scored: image (3, H, W) float32, mask (H, W) int64, rgb (H, W, 3) uint8.

    `voc` keeps each image's own size; `squash224` resizes image and truth to 224 x 224, as the 2024 report did.
    """
    image = torch.tensor(rgb).permute(2, 0, 1)
    target = torch.tensor(mask)
    side = PROTOCOLS[protocol]
    if side is not None:
        image, target = _resize(image, target[None], side, side)
        target = target[0]
    return {"image": normalize(image), "mask": target.long(), "rgb": image.permute(1, 2, 0).contiguous()}


def _resize(image: Tensor, target: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    size = [height, width]
    nearest = InterpolationMode.NEAREST_EXACT
    return F.resize(image, size, antialias=True), F.resize(target, size, interpolation=nearest)


def _uniform(generator: torch.Generator) -> float:
    return float(torch.rand((), generator=generator))
