"""The real sample for the benchmarks of the CRF; run as a module it prints the peak memory of one call in MB."""

import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from src.crf import cpu, presets, pydensecrf
from src.crf.model import DenseCRF
from src.models.deeplab import resize_logits

SAMPLE = Path(os.environ.get("SEGLAB_SAMPLE", "../shared/data/voc2012_sample"))


@dataclass(frozen=True)
class Scene:
    name: str
    logits: Tensor  # (21, H, W)
    probs: np.ndarray  # (21, H, W) float32
    rgb: np.ndarray  # (H, W, 3) uint8
    target: Tensor  # (H, W) int64


def scenes(count: int) -> list[Scene]:
    voc = SAMPLE / "VOCdevkit" / "VOC2012"
    found = []
    for name in (voc / "ImageSets" / "Segmentation" / "val.txt").read_text().split()[:count]:
        rgb = np.array(Image.open(voc / "JPEGImages" / f"{name}.jpg").convert("RGB"))
        target = torch.from_numpy(np.array(Image.open(voc / "SegmentationClass" / f"{name}.png"))).long()
        saved = torch.from_numpy(np.load(SAMPLE / "logits_espnetv2" / f"{name}.npz")["logits"].astype(np.float32))
        logits = resize_logits(saved[None], (rgb.shape[0], rgb.shape[1]))[0]
        found.append(Scene(name, logits, logits.softmax(0).numpy(), rgb, target))
    return found


def model(preset: str, guidance: str = "raw", **changes) -> DenseCRF:
    return DenseCRF(replace(presets.parameters(presets.read(preset)), **changes), guidance)


def peak(infer) -> float:
    """MB that one call on a 375 x 500 image needs at most, its result included."""
    scene = next(s for s in scenes(10) if s.rgb.shape == (375, 500, 3))
    crf = model("krahenbuhl2011", label_floor=0.0)
    infer(
        np.ascontiguousarray(scene.probs[:, :16, :16]), np.ascontiguousarray(scene.rgb[:16, :16]), [crf]
    )  # loads code
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark begins anew
    before = status("VmRSS")
    infer(scene.probs, scene.rgb, [crf])
    return (status("VmHWM") - before) / 1024


def status(key: str) -> int:
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{key}:")]
    return int(line.split()[1])


if __name__ == "__main__":
    print(peak({"cpu": cpu.infer, "pydensecrf": pydensecrf.infer}[sys.argv[1]]))
