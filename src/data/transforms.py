"""From image and mask to a sample: joint augmentation for training, none for evaluation. All in uint8.

Workers hand over small samples: `rgb` (H, W, 3) uint8 and `mask` (H, W), uint8 for up to 255 classes. `ready` turns a
batch of them into the network's input, on the batch's own device.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from src.core.errors import InputError
from src.crf.model import MEAN
from src.data.classes import Labels

cv2.setNumThreads(0)  # the workers share the cores; and threads do not survive a fork

Pixels = npt.NDArray[np.uint8]
_FILL = [round(float(m) * 255) for m in MEAN]  # ImageNet's mean: colour of a crop outside the image
_TRIES = 10  # crops to draw until one has labels; then the last one is taken

PROTOCOLS = {"voc": None, "squash224": 224}  # name: side of the square that images are squashed to


def ready(
    batch: Mapping[str, Any], *, mean: tuple[float, ...], std: tuple[float, ...], channels_last: bool
) -> dict[str, Any]:
    """Turn a batch of samples into the input of a network and a loss.

    Args:
        batch: rgb (B, H, W, 3) uint8, mask (B, H, W) integers; other keys are kept.
        mean: that the network wants, per channel, for pixels in 0..1.
        std: the standard deviation that it wants.
        channels_last: memory format of the image.

    Returns:
        The same plus image (B, 3, H, W) float32, normalised; the mask is int64.
    """
    rgb = batch["rgb"]
    _, height, width, channels = rgb.shape
    means, stds = (_statistics(rgb.device, values).repeat(width) for values in (mean, std))
    rows = rgb.reshape(-1, height, width * channels).to(torch.float32)  # long rows: four times as fast as rows of three
    image = rows.mul_(1 / 255).sub_(means).div_(stds).view(rgb.shape).permute(0, 3, 1, 2)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    return {**batch, "image": image.contiguous(memory_format=layout), "mask": batch["mask"].long()}


@cache
def _statistics(device: torch.device, values: tuple[float, ...]) -> Tensor:
    """Means or deviations as a tensor; copied to a device only once, as it waits for each copy."""
    return torch.tensor(values, device=device)


class Augment:
    """Random scale, crop, flip and colour jitter, the same for image and mask; all randomness comes from a generator.

    Args:
        crop: side of the square crop in px.
        scale: smallest and largest factor of the image's size.
        flip: probability of a horizontal flip.
        jitter: strength of brightness, contrast, saturation (each 0..1) and hue (0..0.5), as torchvision's ColorJitter:
            each takes a factor from [1 - strength, 1 + strength]; hue is shifted by at most this share of the circle.
            The order is random.
        squash: resize to `crop` x `crop`, ignoring the aspect ratio, instead of scaling and cropping.
        void: label of pixels without a class.
    """

    def __init__(
        self,
        *,
        crop: int,
        scale: tuple[float, float],
        flip: float,
        jitter: dict[str, float],
        squash: bool,
        void: int,
    ) -> None:
        if crop < 1 or not 0 < scale[0] <= scale[1]:
            raise InputError(f"recipe.augment: crop={crop} must be above 0, scale={list(scale)} above 0 and rising.")
        self.crop = crop
        self.scale = scale
        self.flip = flip
        self.jitter = [(*_JITTERS[name], amount) for name, amount in jitter.items() if amount > 0]
        self.squash = squash
        self.void = void

    def __call__(self, rgb: Pixels, mask: Labels, generator: torch.Generator) -> dict[str, Any]:
        """Draw one training sample.

        Args:
            rgb: (H, W, 3).
            mask: (H, W) labels or void.
            generator: source of all randomness.

        Returns:
            rgb (crop, crop, 3) uint8 and mask (crop, crop); outside the image, the mask is void.
        """
        if self.squash:
            image, target = _resize(rgb, mask, self.crop, self.crop)
        else:
            image, target = self._scale_and_crop(rgb, mask, generator)
        if _uniform(generator) < self.flip:
            image, target = _array(cv2.flip(image, 1)), np.asarray(cv2.flip(target, 1), dtype=target.dtype)
        for i in torch.randperm(len(self.jitter), generator=generator).tolist():
            change, centre, amount = self.jitter[i]
            image = change(image, centre + amount * (2 * _uniform(generator) - 1))
        return {"rgb": _tensor(image), "mask": _tensor(target)}

    def _scale_and_crop(self, rgb: Pixels, mask: Labels, generator: torch.Generator) -> tuple[Pixels, Labels]:
        low, high = self.scale
        factor = low + (high - low) * _uniform(generator)
        height, width = (max(1, round(side * factor)) for side in mask.shape)
        scaled, labels = _resize(rgb, mask, height, width)
        for _ in range(_TRIES):
            top = int(_uniform(generator) * (max(height, self.crop) - self.crop + 1))
            left = int(_uniform(generator) * (max(width, self.crop) - self.crop + 1))
            window = labels[top : top + self.crop, left : left + self.crop]
            if (window != self.void).any():
                break
        seen = scaled[top : top + self.crop, left : left + self.crop]
        if window.shape == (self.crop, self.crop):
            return seen, window
        image = np.full((self.crop, self.crop, 3), _FILL, dtype=np.uint8)
        target = np.full((self.crop, self.crop), self.void, dtype=mask.dtype)
        image[: len(seen), : seen.shape[1]] = seen
        target[: len(window), : window.shape[1]] = window
        return image, target


def evaluation_sample(rgb: Pixels, mask: Labels, protocol: Literal["voc", "squash224"]) -> dict[str, Any]:
    """The sample that is scored: rgb (H, W, 3) uint8, mask (H, W), both copies.

    `voc` keeps the size of each image; `squash224` resizes image and truth to 224 x 224, as the 2024 report did.
    """
    side = PROTOCOLS[protocol]
    if side is not None:
        rgb, mask = _resize(rgb, mask, side, side)
    return {"rgb": torch.tensor(rgb), "mask": torch.tensor(mask)}


def _resize(rgb: Pixels, mask: Labels, height: int, width: int) -> tuple[Pixels, Labels]:
    """Image bilinear with antialiasing, mask nearest."""
    if mask.shape == (height, width):
        return rgb, mask
    image = torch.from_numpy(rgb).permute(2, 0, 1)[None]
    image = image.as_strided(image.shape, (rgb.size, *image.stride()[1:]))  # torch now takes it for channels-last: fast
    scaled = interpolate(image, (height, width), mode="bilinear", antialias=True, align_corners=False)
    labels = cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    return scaled[0].permute(1, 2, 0).numpy(), np.asarray(labels, dtype=mask.dtype)


def adjust_brightness(rgb: Pixels, factor: float) -> Pixels:
    """(H, W, 3) times a factor. This and the next functions are torchvision's of the same name, but they round."""
    return _array(cv2.addWeighted(rgb, factor, rgb, 0, 0))


def adjust_contrast(rgb: Pixels, factor: float) -> Pixels:
    """Blend with the image's mean luminance: factor 0 is all grey."""
    mean = cv2.mean(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY))[0]
    return _array(cv2.addWeighted(rgb, factor, rgb, 0, (1 - factor) * mean))


def adjust_saturation(rgb: Pixels, factor: float) -> Pixels:
    """Blend with the luminance of each pixel: factor 0 is greyscale."""
    grey = cv2.cvtColor(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return _array(cv2.addWeighted(rgb, factor, grey, 1 - factor, 0))


def adjust_hue(rgb: Pixels, shift: float) -> Pixels:
    """Turn the hue by `shift` of the circle, in steps of 1/256."""
    hsv = _array(cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV_FULL))
    hsv[..., 0] += np.uint8(round(shift * 256) % 256)  # wraps, as a circle does
    return _array(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL))


# Name -> function, and the argument that changes nothing.
_JITTERS: dict[str, tuple[Callable[[Pixels, float], Pixels], float]] = {
    "brightness": (adjust_brightness, 1.0),
    "contrast": (adjust_contrast, 1.0),
    "saturation": (adjust_saturation, 1.0),
    "hue": (adjust_hue, 0.0),
}


def _array(found: Any) -> Pixels:
    """An array from OpenCV, typed for the type checker."""
    return np.asarray(found, dtype=np.uint8)


def _tensor(pixels: Labels) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels))


def _uniform(generator: torch.Generator) -> float:
    return float(torch.rand((), generator=generator))
