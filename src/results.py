"""What a scored run leaves behind: `results.json`, `confusion.npz` and panels."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from omegaconf import DictConfig

from src.crf.model import Image, effective_sigma
from src.crf.presets import tuned_on
from src.data.voc import VOC_CLASSES
from src.reporting.panels import panel
from src.runs import RunFolder, replacing
from src.scoring import image_miou, trimap_miou
from src.variants import Scored, VariantScorer

Labels = npt.NDArray[np.uint8]


def choose(ids: list[str], count: int) -> list[str]:
    """`count` ids spread evenly over the list: the same images in every run on the same data."""
    picks = np.linspace(0, len(ids) - 1, min(count, len(ids))).round().astype(int)
    return [ids[i] for i in picks]


def panel_writer(folder: Path, chosen: list[str]) -> Callable[[Scored], None]:
    """An observer that draws the chosen images into `folder/ID.png`."""
    folder.mkdir(exist_ok=True)

    def write(image: Scored) -> None:
        if image.id in chosen:
            labels = {name: found.numpy() for name, found in image.labels.items()}
            picture = panel(image.rgb, image.target.numpy(), labels, VOC_CLASSES)
            with replacing(folder / f"{image.id}.png") as temporary:
                picture.save(temporary, format="PNG")

    return write


def extreme_writer(folder: Path, variants: list[str], images: int) -> Callable[[Scored], None]:
    """An observer that draws, per variant, the image on which it is best and the one on which it is worst.

    By the image's own mIoU: of `none` the score, of the others what they change against `none`. They are drawn into
    `VARIANT-best.webp` and `VARIANT-worst.webp` when the last of so many images has come.
    """
    folder.mkdir(parents=True, exist_ok=True)
    held: dict[tuple[str, str], tuple[float, Image, Labels, dict[str, Labels]]] = {}
    seen = 0

    def observe(image: Scored) -> None:
        nonlocal seen
        seen += 1
        found = {name: float(image_miou(image.matrices[name][None])[0]) for name in variants}
        target = image.target.numpy().astype(np.uint8)
        for name in variants:
            score = found[name] - (found.get("none", 0.0) if name != "none" else 0.0)
            for end, signed in (("best", score), ("worst", -score)):
                if signed > held.get((name, end), (-math.inf,))[0]:
                    shown = [key for key in dict.fromkeys(("none", name)) if key in variants]
                    labels = {key: image.labels[key].numpy().astype(np.uint8) for key in shown}
                    held[name, end] = (signed, image.rgb, target, labels)
        if seen == images:
            for (name, end), (_, rgb, truth, labels) in held.items():
                with replacing(folder / f"{name}-{end}.webp") as temporary:
                    panel(rgb, truth, labels, VOC_CLASSES).save(temporary, format="WEBP", quality=80)

    return observe


def _sigmas(settled: DictConfig) -> dict[str, list[float]]:
    """Per variant with a CRF the colour sigma that raw guidance would need for the same kernel, in 0..255 units."""
    return {
        str(name): effective_sigma(choice.guidance, (choice.get("crf") or settled.crf).bilateral_sigma_rgb)
        for name, choice in settled.variants.items()
        if choice
    }


def write(folder: RunFolder, settled: DictConfig, scorer: VariantScorer, **facts: Any) -> dict[str, Any]:
    """Write matrices and `results.json`; `facts` are further plain values. Returns the content of the latter."""
    trimaps = scorer.stacked_trimaps()
    content = {
        "data": settled.data.name,
        "protocol": settled.recipe.protocol,
        "images": len(scorer.ids),
        "variants": {
            name: {**result.as_dict(VOC_CLASSES), "trimap_miou": trimap_miou(trimaps[name])}
            for name, result in scorer.scores().items()
        },
        "crf": {"name": settled.crf.name, "engine": settled.crf.engine, "effective_sigma_rgb": _sigmas(settled)},
        "left_out": {name: len(ids) for name, ids in tuned_on(settled).items()},
        **facts,
    }
    folder.write_results(content, scorer.ids, scorer.stacked(), trimaps)
    return content
