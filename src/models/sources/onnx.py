"""Networks in ONNX files: run by onnxruntime, on the processor. `pip install onnxruntime` is needed only for them.

A file takes `image` (B, H, W, 3) uint8 RGB, and gives `labels` (B, H, W) and `probabilities` (B, C, H, W). A YAML file
of the same name beside it says what the labels mean; `python -m src.export` writes both.
"""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from src.core.compose import read_mapping
from src.core.errors import InputError
from src.core.files.reading import check_regular
from src.core.values import check_config, check_mapping, check_text, many, parts

INPUT, OUTPUTS = "image", ("labels", "probabilities")
Pixels = npt.NDArray[np.uint8]
Probabilities = npt.NDArray[np.float32]

_CLASSES = parts({"names": many(check_text, 2)}, more=True)
_DESCRIPTION = parts(
    {"seglab": parts({"config": check_mapping}, more=True), "classes": _CLASSES, "sha256": check_text}, more=True
)


class OnnxNetwork:
    """A network in an ONNX file.

    Args:
        path: of the file.
        threads: of onnxruntime.

    Raises:
        InputError: onnxruntime is missing, cannot read the file, or it has other inputs or outputs.
    """

    def __init__(self, path: Path, *, threads: int) -> None:
        check_regular(path)
        try:
            import onnxruntime
        except ImportError as error:
            raise InputError(f"{path}: `pip install onnxruntime` installs what runs it ({error}).") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = threads, 3
        try:
            self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has many classes of its own
            raise InputError(f"{path}: onnxruntime cannot read it ({_reason(error)}).") from error
        taken, given = self.session.get_inputs(), [one.name for one in self.session.get_outputs()]
        if [(one.name, one.type, len(one.shape)) for one in taken] != [(INPUT, "tensor(uint8)", 4)] or not {
            *OUTPUTS
        } <= {*given}:
            found = ", ".join(f"{one.name} {one.type} {one.shape}" for one in taken)
            raise InputError(
                f"{path}: takes {found} and gives {', '.join(given)}; needed: {INPUT} (B, H, W, 3) uint8, and the "
                f"outputs {' and '.join(OUTPUTS)}."
            )
        self.path = path

    def __call__(self, rgb: Pixels) -> tuple[npt.NDArray[np.int64], Probabilities]:
        """Labels (B, H, W) and probabilities (B, C, H, W) float32 of images (B, H, W, 3).

        Raises:
            InputError: the file cannot take images of this size, or its answer has another shape.
        """
        try:
            labels, probs = self.session.run(list(OUTPUTS), {INPUT: np.ascontiguousarray(rgb)})
        except Exception as error:
            raise InputError(f"{self.path}: fails on an image {rgb.shape} ({_reason(error)}).") from error
        batch, height, width, _ = rgb.shape
        if labels.shape != (batch, height, width) or (probs.shape[0], *probs.shape[2:]) != labels.shape:
            raise InputError(
                f"{self.path}: gives labels {labels.shape} and probabilities {probs.shape} for an image {rgb.shape}."
            )
        return labels.astype(np.int64), np.asarray(probs, dtype=np.float32)


def description_of(path: Path) -> Path:
    """The YAML file that describes an ONNX file."""
    return path.with_suffix(".yaml")


def read_description(path: Path) -> dict[str, Any] | None:
    """What the YAML file beside an ONNX file says, or None if there is none; its config is still to be checked.

    Raises:
        InputError: it is not one that `src.export` writes, or is that of another file.
    """
    place = description_of(path)
    if not place.is_file():
        return None
    content = read_mapping(place, str(place))
    try:
        check_config(content, _DESCRIPTION)
    except InputError as error:
        raise InputError(f"{place}: is not what `python -m src.export` writes: {error}") from error
    if content["sha256"] != digest_of(path):
        raise InputError(f"{place}: describes another file than {path} (sha256); export again, or move it away.")
    return content


def digest_of(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
