"""What a scored run leaves behind: `results.json`, `confusion.npz` and panels."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig

from src.crf.model import effective_sigma
from src.crf.presets import tuned_on
from src.data.voc import VOC_CLASSES
from src.reporting.panels import panel
from src.runs import RunFolder, replacing
from src.variants import Scored, VariantScorer


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


def _sigmas(settled: DictConfig) -> dict[str, list[float]]:
    """Per variant with a CRF the colour sigma that raw guidance would need for the same kernel, in 0..255 units."""
    return {
        str(name): effective_sigma(choice.guidance, (choice.get("crf") or settled.crf).bilateral_sigma_rgb)
        for name, choice in settled.variants.items()
        if choice
    }


def write(folder: RunFolder, settled: DictConfig, scorer: VariantScorer, **facts: Any) -> dict[str, Any]:
    """Write matrices and `results.json`; `facts` are further plain values. Returns the content of the latter."""
    content = {
        "data": settled.data.name,
        "protocol": settled.recipe.protocol,
        "images": len(scorer.ids),
        "variants": {name: result.as_dict(VOC_CLASSES) for name, result in scorer.scores().items()},
        "crf": {"name": settled.crf.name, "engine": settled.crf.engine, "effective_sigma_rgb": _sigmas(settled)},
        "left_out": {name: len(ids) for name, ids in tuned_on(settled).items()},
        **facts,
    }
    folder.write_results(content, scorer.ids, scorer.stacked())
    return content
