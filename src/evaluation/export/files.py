"""The ONNX files of an export, each with a YAML file beside it; a file is kept only with its score."""

import math
from pathlib import Path
from typing import Any

import torch
import yaml
from omegaconf import DictConfig
from rich.console import Console

from src.core.files.whole import in_bytes, replacing
from src.core.machine import processor_name
from src.data.classes import label_type
from src.data.datamodule import SegmentationDataModule
from src.evaluation.export.compare import SIZES, Agreement, check_agrees, on_images, on_sizes
from src.evaluation.export.graph import OPSET, standalone, write_graph
from src.evaluation.export.network import Trained
from src.evaluation.export.quantise import quantise
from src.evaluation.machine.hardware import Hardware
from src.evaluation.scoring.results import choose
from src.models.sources.onnx import OUTPUTS, OnnxNetwork, description_of, digest_of

NAME, NAME_INT8 = "model.onnx", "model-int8.onnx"


def write_onnx(
    config: DictConfig, settled: DictConfig, found: Trained, machine: Hardware, data: SegmentationDataModule,
    folder: Path, console: Console,
) -> float:  # fmt: skip
    """Write `model.onnx`, and `model-int8.onnx` if it is asked for; returns the mIoU of the last one.

    Args:
        config: composed from `conf/export.yaml`.
        settled: the network's own config, for data and protocol.
        found: the network.
        machine: a CPU.
        data: its validation images are scored; int8 takes ranges from training images.
        folder: for the files; it is there.
        console: tells the scores.

    Raises:
        InputError: torch cannot export the network, or the file gives other labels than the network.
    """
    ids, path = data.ids("val"), folder / NAME
    with replacing(path) as temporary:
        write_graph(standalone(found.task.network, mean=found.task.mean, std=found.task.std), temporary)  # type: ignore[arg-type]
        network = OnnxNetwork(temporary, threads=torch.get_num_threads())
        image = data.samples(ids[:1])[0]["rgb"].numpy()
        sizes = on_sizes(network, found.task, image)
        check_agrees(sizes, "images of other sizes")
        agreed = on_images(network, found.task, data, ids, console)
        check_agrees(agreed, f"{len(ids)} val images")
        score = _score(agreed) | {"sizes": _sizes(sizes)}
        _describe(path, temporary, settled, found, score)
        _tell(agreed, sizes, settled, temporary, console)
    console.print(f"written     {path}, and {description_of(path).name}", soft_wrap=True)
    return agreed.miou[0] if not config.int8 else _write_int8(config, settled, found, data, path, console)


def _write_int8(
    config: DictConfig,
    settled: DictConfig,
    found: Trained,
    data: SegmentationDataModule,
    source: Path,
    console: Console,
) -> float:
    path = source.with_name(NAME_INT8)
    calibration = choose(data.ids("train"), config.calibration)
    with replacing(path) as temporary:
        quantise(source, temporary, data, calibration)
        network = OnnxNetwork(temporary, threads=torch.get_num_threads())
        agreed = on_images(network, found.task, data, data.ids("val"), console)
        cost = agreed.cost(config.resamples)
        value, low, high = (100 * float(one[0]) for one in (cost.value, cost.low, cost.high))
        known = math.isfinite(low)  # not of a handful of images
        ends = {"low": low, "high": high} if known else {}
        costs = {"points": value, **ends, "resamples": config.resamples}
        score = _score(agreed) | {"cost": costs, "calibration_images": len(calibration)}
        _describe(path, temporary, settled, found, score)
        between = f"[{low:+.2f}, {high:+.2f}]" if known else "(too few images for an interval)"
        console.print(
            f"int8        mIoU {100 * agreed.miou[0]:.4f} %: {value:+.2f} points {between}; equal "
            f"labels {100 * agreed.equal:.2f} %; {agreed.milliseconds[0]:.1f} ms per image; "
            f"{in_bytes(temporary.stat().st_size)} instead of {in_bytes(source.stat().st_size)}",
            highlight=False, soft_wrap=True,
        )  # fmt: skip
    console.print(f"written     {path}, and {description_of(path).name}", soft_wrap=True)
    return agreed.miou[0]


def _tell(agreed: Agreement, sizes: Agreement, settled: DictConfig, file: Path, console: Console) -> None:
    (theirs, ours), (quick, slow) = agreed.miou, agreed.milliseconds
    shapes = ", ".join(f"{height} x {width}" for height, width in SIZES)
    for line in (
        f"scored      {len(agreed.margins[0])} val images of {settled.data.name}, protocol {settled.recipe.protocol}: "
        f"mIoU {100 * theirs:.4f} % (torch {100 * ours:.4f} %), equal labels {100 * agreed.equal:.4f} %, "
        f"probabilities differ by at most {agreed.largest:.1e}",
        f"sizes       {shapes}, two images at a time: equal labels {100 * sizes.equal:.4f} %, "
        f"probabilities differ by at most {sizes.largest:.1e}",
        f"time        {quick:.1f} ms per image, torch {slow:.1f} ms (median; float32, "
        f"{torch.get_num_threads()} threads); {in_bytes(file.stat().st_size)}, opset {OPSET}",
    ):
        console.print(line, highlight=False, soft_wrap=True)


def _score(agreed: Agreement) -> dict[str, Any]:
    (theirs, ours), (quick, slow) = agreed.miou, agreed.milliseconds
    import onnxruntime

    return {
        "images": len(agreed.margins[0]),
        "miou": theirs,
        "miou_torch": ours,
        "equal_labels": agreed.equal,
        "largest_difference": agreed.largest,
        "milliseconds": quick,
        "milliseconds_torch": slow,
        "threads": torch.get_num_threads(),
        "processor": processor_name(),
        "onnxruntime": onnxruntime.__version__,
        "torch": str(torch.__version__),
    }


def _sizes(found: Agreement) -> dict[str, Any]:
    sizes = [[height, width] for height, width in SIZES]
    return {"height_width": sizes, "equal_labels": found.equal, "largest_difference": found.largest}


def _describe(path: Path, file: Path, settled: DictConfig, found: Trained, score: dict[str, Any]) -> None:
    """Write the YAML file beside an ONNX file, which still has another name."""
    count = len(found.classes)
    content = {
        "input": "image: uint8 RGB (batch, height, width, 3), any size",
        "outputs": {
            OUTPUTS[0]: f"{label_type(count).__name__} (batch, height, width), the most probable class",
            OUTPUTS[1]: f"float32 (batch, {count}, height, width), sum 1 over the classes",
        },
        "opset": OPSET,
        "protocol": settled.recipe.protocol,
        "classes": {**found.classes.plain(), "void": found.classes.void},
        "score": {"data": settled.data.name, **score},
        "sha256": digest_of(file),
        "seglab": found.facts,
    }
    with replacing(description_of(path)) as temporary:
        text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120, default_flow_style=None)
        temporary.write_text(f"# Describes {path.name}; written by python -m src.export.\n{text}", encoding="utf-8")
