"""The real sample for the benchmarks of the CRF; run as a module it prints the peak memory of one call in MB."""

import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from src.crf import reference as pydensecrf
from src.crf.cpu import meanfield
from src.crf.model import DenseCRF
from src.data.sources.voc import voc_folder
from src.evaluation.scoring.logits import read_resized
from src.scoring import presets

SAMPLE = Path(os.environ.get("SEGLAB_SAMPLE", "../shared/data/voc2012_sample"))


@dataclass(frozen=True)
class Scene:
    name: str
    logits: Tensor  # (21, H, W)
    probs: np.ndarray  # (21, H, W) float32
    rgb: np.ndarray  # (H, W, 3) uint8
    target: Tensor  # (H, W) int64


def scenes(count: int) -> list[Scene]:
    voc = voc_folder(SAMPLE / "VOCdevkit" / "VOC2012")
    found = []
    for name in voc.ids("val")[:count]:
        rgb, mask = voc.read_pair(name)
        target = torch.from_numpy(mask).long()
        logits = read_resized(SAMPLE / "logits_espnetv2", name, target, voc.classes.names)
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
    print(peak({"cpu": meanfield.infer, "pydensecrf": pydensecrf.infer}[sys.argv[1]]))
