"""Statistics of confusion matrices from anywhere, without run folders: `compare` in Python, `read` for files.

from src.reporting.statistics.matrices import compare

found = compare({"mine": mine, "theirs": theirs})  # arrays (N, C, C), rows the truth; (S, N, C, C) with S seeds
print(found["theirs"].difference, found["theirs"].low, found["theirs"].high, found["theirs"].verdict)
"""

import math
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from src.core.errors import InputError, printable
from src.core.files.reading import open_regular
from src.reporting.statistics.samples import Sample
from src.reporting.statistics.verdicts import analyse, verdict
from src.scoring.metrics import margins

_MOST = 2**33  # bytes of the arrays in one file
_HOLDS = (
    "an array `counts` (N, C, C) or (seeds, N, C, C) of whole numbers, rows the truth; `ids` and `classes` if you like"
)


@dataclass(frozen=True)
class Compared:
    """What is known of one method, in mIoU; all but the last are fractions.

    Attributes:
        miou: mean over seeds.
        miou_low: lower end of its 95 % interval; NaN where there are too few images for one.
        miou_high: upper end.
        difference: to the first method; NaN for the first.
        low: lower end of the 95 % interval of the difference; it agrees with the verdict.
        high: upper end.
        p: two-sided, corrected for the number of methods.
        verdict: "better", "worse" or "not separable"; empty for the first.
    """

    miou: float
    miou_low: float
    miou_high: float
    difference: float = math.nan
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan
    verdict: str = ""


def compare(
    methods: Mapping[str, npt.NDArray[np.integer[Any]]], *, swaps: int = 10_000, seed: int = 0
) -> dict[str, Compared]:
    """Compare methods with the first one, on the same images.

    Args:
        methods: name to confusion matrices (N, C, C) of N images, rows the truth, or (S, N, C, C) of S trainings. All
            have the same images in the same order; their numbers of trainings may differ.
        swaps: the most ways to swap images.
        seed: of random choices.

    Raises:
        ValueError: the arrays have other shapes, or differ in the pixels of a class in an image.
    """
    samples: list[Sample] = []
    truth = None
    for name, matrices in methods.items():
        counted = np.asarray(matrices)
        counted = counted[None] if counted.ndim == 3 else counted
        if counted.ndim != 4 or counted.shape[2] != counted.shape[3] or 0 in counted.shape:
            raise ValueError(f"{name}: shape {np.shape(matrices)} is not (N, C, C) or (S, N, C, C)")
        margin = margins(counted)  # (S, N, 3, C)
        truth = margin[0, :, 1] if truth is None else truth
        if any(not np.array_equal(one[:, 1], truth) for one in margin):
            raise ValueError(f"{name}: counts other images, or the same against another truth, than the first method")
        samples.append(Sample.of_miou(margin, [f"{name} {k}" for k in range(len(counted))]))
    found = analyse(samples, [None, *[0] * (len(samples) - 1)], swaps=swaps, seed=seed)
    compared: dict[str, Compared] = {}
    for name, own, change in zip(methods, found.estimates, found.differences, strict=True):
        miou, low, high = (float(array[0]) for array in (own.value, own.low, own.high))
        compared[name] = Compared(miou, low, high)
        if change is not None:
            value, less, more, p = (
                float(array[0]) for array in (change.value, change.low, change.high, change.corrected)
            )
            compared[name] = Compared(miou, low, high, value, less, more, p, verdict(value, p))
    return compared


def read(path: Path) -> tuple[npt.NDArray[np.int64], list[str], list[str]]:
    """Matrices (S, N, C, C), ids of the N images and names of the C classes, from an `.npz` file.

    Raises:
        InputError: the file cannot be read, or does not hold them.
    """
    way_out = f"give a file of numpy.savez with {_HOLDS}"
    try:
        with open_regular(path, way_out=way_out) as file:
            with zipfile.ZipFile(file) as archive:
                if sum(info.file_size for info in archive.infolist()) > _MOST:
                    raise InputError(f"{path} holds more than {_MOST:,} bytes: {way_out}.")
            file.seek(0)
            with np.load(file, allow_pickle=False) as arrays:
                content = {name: arrays[name] for name in arrays.files if name in ("counts", "ids", "classes")}
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file; {way_out}.") from None
    except InputError:
        raise
    except Exception as error:  # on damaged bytes, zip and NumPy may raise anything
        raise InputError(f"{path} cannot be read ({printable(error)[:200]}): {way_out}.") from error
    counted = content.get("counts", np.zeros(0))
    counted = counted[None] if counted.ndim == 3 else counted
    square = counted.ndim == 4 and counted.shape[2] == counted.shape[3] > 1 and 0 not in counted.shape
    if not square or counted.dtype.kind not in "iu" or counted.min() < 0 or counted.max() >= 2**40:
        raise InputError(f"{path} holds no such counts: {way_out}.")
    names = []
    for key, size in (("ids", counted.shape[1]), ("classes", counted.shape[2])):
        given = content.get(key, np.array([f"{key[:-1] if key == 'ids' else 'class'} {k}" for k in range(size)]))
        if given.shape != (size,) or given.dtype.kind != "U" or len(set(given.tolist())) < size:
            raise InputError(f"{path}: `{key}` are not {size} different texts: {way_out}.")
        names.append([str(name) for name in given])
    return counted.astype(np.int64), names[0], names[1]
