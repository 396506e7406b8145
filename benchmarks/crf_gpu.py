"""The dense CRF on a GPU, by stages: `python -m benchmarks.crf_gpu [FOLDER]`, also part of `make bench-crf`.

Needs torch, NumPy and Numba; pydensecrf's times are left out where it is not installed. FOLDER, or any folder below it,
holds images `ID.jpg` and logits `ID.npz`; without it, images are generated. Each part that fails prints why, and the
next one goes on. Results are also written to `$OUT/crf_gpu.json` if OUT is set.
"""

import argparse
import json
import os
import platform
import statistics
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
import torch.nn.functional as functional

from benchmarks import crf_gpu_stages
from src.crf.cpu import ahead
from src.crf.gpu import meanfield as gpu
from src.crf.model import CRFParameters, DenseCRF

PRESETS = {
    "krahenbuhl2011": CRFParameters(5, 3, 3, 80, 13, 10, 0.0),
    "deeplabv2": CRFParameters(10, 1, 3, 67, 3, 4, 0.0),
}
FLOORS = {"exact": 0.0, "default": 0.01}
CUDA = torch.cuda.is_available()
DEVICE = torch.device("cuda", torch.cuda.current_device()) if CUDA else torch.device("cpu")
Scenes = tuple[list[np.ndarray], list[np.ndarray]]


def real(folder: Path, count: int, height: int, width: int) -> Scenes:
    """Probabilities (21, H, W) and images (H, W, 3), those of the wanted size first; others are resized to it."""
    from PIL import Image

    pictures = {path.stem: path for path in folder.rglob("*.jpg")}
    pairs = []
    for path in sorted(folder.rglob("*.npz")):
        if path.stem in pictures:
            image = Image.open(pictures[path.stem]).convert("RGB")
            logits = torch.from_numpy(np.load(path, allow_pickle=False)["logits"].astype(np.float32))
            pairs.append((image, logits))
    pairs.sort(key=lambda pair: pair[0].size != (width, height))
    print(f"{sum(image.size == (width, height) for image, _ in pairs[:count])} of {count} real images have the size")
    probs, rgb = [], []
    for image, logits in pairs[:count]:
        sized = functional.interpolate(logits[None], (height, width), mode="bilinear", align_corners=False)[0]
        probs.append(sized.softmax(0).contiguous().numpy())
        rgb.append(np.array(image.resize((width, height))))
    return probs, rgb


def generated(count: int, height: int, width: int) -> Scenes:
    """Smooth noise of four labels, with the colours of their labels; the network is unsure at the borders."""
    probs, rgb = [], []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        coarse = torch.from_numpy(rng.normal(size=(1, 4, 6, 8)).astype(np.float32))
        field = functional.interpolate(coarse, (height, width), mode="bicubic", align_corners=False)[0].numpy()
        colours = rng.integers(30, 220, (4, 3))[field.argmax(0)] + 25 * field[:3].transpose(1, 2, 0)
        rgb.append(np.clip(colours + rng.normal(size=colours.shape) * 6, 0, 255).astype(np.uint8))
        logits = rng.normal(size=(21, height, width)).astype(np.float32) * 0.5
        logits[rng.permutation(21)[:4]] += 6 + 5 * field
        probs.append(torch.from_numpy(logits).softmax(0).numpy())
    return probs, rgb


def synchronize() -> None:
    if CUDA:
        torch.cuda.synchronize()


def wall(call: Callable[[], object], repeats: int) -> list[float]:
    """Milliseconds of each call, until the device is done."""
    took = []
    for _ in range(repeats):
        synchronize()
        start = time.perf_counter()
        call()
        synchronize()
        took.append(1e3 * (time.perf_counter() - start))
    return took


class Report:
    """Results by name; a part that fails leaves its traceback. What a part gives beside its record is not kept."""

    def __init__(self) -> None:
        self.found: dict[str, object] = {}

    def part(self, name: str, call: Callable[[], object]) -> Any:
        """Run one part and write down its record; gives None if it failed."""
        start = time.perf_counter()
        try:
            answer = call()
            self.found[name] = answer[0] if isinstance(answer, tuple) else answer
        except Exception:
            answer, self.found[name] = None, {"error": traceback.format_exc()}
            print(f"{name} FAILED\n{traceback.format_exc()}", flush=True)
        print(f"  [{name}: {time.perf_counter() - start:.1f} s]", flush=True)
        if out := os.environ.get("OUT"):
            text = json.dumps(self.found, indent=1, default=str)
            (Path(out) / "crf_gpu.json").write_text(text, encoding="utf-8")
        return answer


def machine() -> dict[str, object]:
    """What runs here, and GB/s of copying 1 GB on the card."""
    found: dict[str, object] = {"torch": torch.__version__, "processor": platform.processor(), "cores": os.cpu_count()}
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text(encoding="utf-8").splitlines() if line.startswith("model name")]
        found["processor"] = names[0].split(":")[1].strip() if names else ""
    if CUDA:
        source = torch.rand(2**28, device=DEVICE)
        target = torch.empty_like(source)
        took = statistics.median(crf_gpu_stages.timed(lambda: target.copy_(source), 10))
        found |= {"card": torch.cuda.get_device_name(), "copy GB/s": round(2 * source.nbytes / took / 1e6)}
        found["kernels"] = gpu.has_kernels(DEVICE)
    print(found, flush=True)
    return found


def whole(scenes: Scenes, model: DenseCRF, kernels: bool, repeats: int) -> tuple[dict[str, object], list[torch.Tensor]]:
    """Times of whole batches per image, construction included, and the answers."""
    probs, rgb = [torch.from_numpy(one).to(DEVICE) for one in scenes[0]], scenes[1]

    def again() -> list[list[torch.Tensor]]:
        gpu._spatial.cache_clear()
        return gpu.infer(probs, rgb, [model])

    with mock.patch.object(gpu, "has_kernels", lambda device: kernels), torch.inference_mode():
        (first,) = wall(again, 1)
        if CUDA:
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
        one = again()
        peak = (torch.cuda.max_memory_allocated() - before) / 2**20 if CUDA else 0.0
        two = again()
        equal = all(torch.equal(a[0], b[0]) for a, b in zip(one, two, strict=True))
        del two
        anew, kept = wall(again, repeats), wall(lambda: gpu.infer(probs, rgb, [model]), max(1, repeats // 2))
    count = len(rgb)
    times = {"anew": [took / count for took in anew], "spatial lattice kept": [took / count for took in kept]}
    shown = {name: f"{statistics.median(t):.3f} ({min(t):.3f}-{max(t):.3f})" for name, t in times.items()}
    found = {"ms per image": shown, "first call, s": round(first / 1e3, 2), "equal bits": equal, "peak MB": round(peak)}
    print(f"  {'Triton' if kernels else 'sparse'}: {found}", flush=True)
    return found | {"times": times}, [answer for (answer,) in one]


def compare(scenes: Scenes, model: DenseCRF, answers: dict[str, list[torch.Tensor]]) -> dict[str, object]:
    """Largest difference from the CPU engine, and share of equal labels, per path."""
    from src.crf.cpu import meanfield

    largest, equal = dict.fromkeys(answers, 0.0), {name: [] for name in answers}
    for i, (probs, rgb) in enumerate(zip(*scenes, strict=True)):
        (expected,) = meanfield.infer(probs, rgb, [model], threads=os.cpu_count() or 1)
        for name, found in answers.items():
            q = found[i].cpu().numpy()
            largest[name] = max(largest[name], float(np.abs(q - expected).max()))
            equal[name].append(float((q.argmax(0) == expected.argmax(0)).mean()))
    result = {
        name: {"largest |Q - Q_cpu|": largest[name], "equal labels": float(np.mean(equal[name]))} for name in answers
    }
    print(f"  {result}", flush=True)
    return result


def reference(scenes: Scenes, medians: dict[str, float], count: int) -> dict[str, object]:
    """Milliseconds of pydensecrf per image on one core, and how many times ours that is."""
    from src.crf import reference as pydensecrf

    found: dict[str, object] = {}
    for preset, parameters in PRESETS.items():
        model = DenseCRF(parameters, "raw")
        pydensecrf.infer(scenes[0][0], scenes[1][0], [model])
        took = []
        for probs, rgb in list(zip(*scenes, strict=True))[:count]:
            start = time.perf_counter()
            pydensecrf.infer(probs, rgb, [model])
            took.append(1e3 * (time.perf_counter() - start))
        median = statistics.median(took)
        ratios = {name: round(median / own) for name, own in medians.items() if name.startswith(preset)}
        found[preset] = {"ms": median, "least": min(took), "most": max(took), "times as fast": ratios}
        print(f"  pydensecrf, {preset}: {found[preset]}", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", help="of images and logits")
    parser.add_argument("--images", type=int, default=16, help="in a batch")
    parser.add_argument("--size", type=int, nargs=2, default=(375, 500), metavar=("H", "W"))
    parser.add_argument("--repeats", type=int, default=10)
    options = parser.parse_args()
    if not CUDA and "TRITON_INTERPRET" not in os.environ:  # the interpreter tries this program out
        print("no CUDA device: nothing to measure")
        return
    began, report, size = time.perf_counter(), Report(), (options.images, *options.size)
    ahead.start()  # beside the first parts, what the comparison with the CPU needs
    report.part("machine", machine)
    found = report.part("read", lambda: ("real", real(options.folder, *size))) if options.folder else None
    scenes = found[1] if found and len(found[1][0]) == options.images else generated(*size)
    models = {
        f"{preset} {mode}": DenseCRF(CRFParameters(**(vars(parameters) | {"label_floor": floor})), "raw")
        for preset, parameters in PRESETS.items()
        for mode, floor in FLOORS.items()
    }
    answers: dict[str, dict[str, list[torch.Tensor]]] = {name: {} for name in models}
    medians: dict[str, float] = {}

    def batches(path: str, kernels: bool) -> None:
        for name, model in models.items():
            print(f"{name}: {options.images} images of {options.size[0]} x {options.size[1]}", flush=True)
            done = report.part(f"{name}, {path}", lambda m=model: whole(scenes, m, kernels, options.repeats))
            if done:
                answers[name][path] = done[1]
                medians[f"{name}, {path}"] = statistics.median(done[0]["times"]["anew"])

    def stages(path: str, measure: Callable[..., object]) -> None:
        for name, model in models.items():
            print(f"{name}, stages", flush=True)
            report.part(f"{name}, {path}, stages", lambda m=model: measure(scenes, m, DEVICE, options.repeats))

    batches("Triton", True)  # what matters most comes first: a run may be cut off
    stages("Triton", crf_gpu_stages.fused)
    if CUDA:
        probs, kept = [torch.from_numpy(one).to(DEVICE) for one in scenes[0]], list(models.items())[::2]
        for name, model in kept:
            call = lambda m=model: (gpu._spatial.cache_clear(), gpu.infer(probs, scenes[1], [m]))  # noqa: E731
            report.part(f"{name}, profile", lambda c=call: crf_gpu_stages.profile(c))
    batches("sparse", False)
    report.part("pydensecrf", lambda: reference(scenes, medians, 4))
    for name, model in models.items():
        report.part(f"{name}, CPU", lambda n=name, m=model: compare(scenes, m, answers[n]))
    stages("sparse", crf_gpu_stages.sparse)
    print(f"ms per image: { {name: round(median, 3) for name, median in medians.items()} }")
    print(f"{time.perf_counter() - began:.0f} s in all", flush=True)


if __name__ == "__main__":
    main()
