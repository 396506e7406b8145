"""The counts of a run: read from files that anybody may have written, and believed only if they fit its scores."""

import hashlib
import math
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy

from src.core.errors import InputError, printable
from src.core.files.reading import open_regular
from src.data.classes import VOC_CLASSES
from src.runs.checks.records import THEN_AGAIN
from src.runs.folder import RunFolder
from src.scoring.metrics import RADII, scores, trimap_miou

_CLASSES = len(VOC_CLASSES)
_MOST = 2**32  # bytes of the counts in one file: 49 variants of 24,000 images
_PIXELS = 2**32  # of one image
_WAY_OUT = f"delete results.json beside it, then {THEN_AGAIN}"
_TOLERANCE = 1e-9  # of a score that is computed again
_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


@dataclass(frozen=True)
class Counts:
    """The counts from which a cell's scores are computed, with its `results.json`.

    Attributes:
        ids: of the N images, each once.
        matrices: variant to (N, C, C), rows the truth.
        trimaps: variant to (N, len(RADII), 2, C); empty if they were not counted.
        results: the content of `results.json`.
    """

    ids: list[str]
    matrices: Mapping[str, npt.NDArray[np.int64]]
    trimaps: Mapping[str, npt.NDArray[np.int32]]
    results: Mapping[str, Any]

    @property
    def order(self) -> npt.NDArray[np.intp]:
        """(N,) places of the images in the order of their ids: so the rows of several runs meet image by image."""
        return np.argsort(np.array(self.ids))

    @cached_property
    def images(self) -> tuple[str, ...]:
        """The ids in their order, and a hash of the pixels of each class in each image: equal if the truth is."""
        truth = next(iter(self.matrices.values()))[self.order].sum(-1)
        return (*sorted(self.ids), hashlib.sha256(truth.astype(np.int64).tobytes()).hexdigest())


class _OddError(Exception):
    """What is wrong with a file; the words that follow its name in a sentence."""


def read_counts(folder: RunFolder) -> Counts:
    """The counts per image in a folder with results.

    Raises:
        InputError: they are missing or damaged, are of other classes than a report knows, or are not those from which
            the scores in `results.json` were computed.
    """
    results = folder.read_results()
    rows = results["variants"]
    with _named(folder.confusion):
        if any(tuple(row.get("iou", VOC_CLASSES)) != VOC_CLASSES for row in rows.values()):
            raise InputError(
                f"{folder.results}: its classes are not those of VOC, so a report must leave this run out."
            )
        ids, matrices = _load(folder.confusion, results, (_CLASSES, _CLASSES))
        _check_scores(rows, matrices)
    trimaps: dict[str, npt.NDArray[np.int32]] = {}
    if folder.trimaps.exists():
        with _named(folder.trimaps):
            near, trimaps = _load(folder.trimaps, results, (len(RADII), 2, _CLASSES))
            _check_bands(rows, trimaps)
            if near != ids:
                if sorted(near) != sorted(ids):
                    raise _OddError("counts other images than confusion.npz")
                place = {image: number for number, image in enumerate(near)}
                order = [place[image] for image in ids]
                trimaps = {name: counted[order] for name, counted in trimaps.items()}
    return Counts(ids, matrices, trimaps, results)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Turn what goes wrong in the block into one sentence that names the file and the way out."""
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path} is missing: {_WAY_OUT}.") from None
    except _OddError as odd:
        raise InputError(f"{path} {odd}: {_WAY_OUT}.") from None
    except Exception as error:  # on damaged bytes, zip and NumPy may raise anything
        raise InputError(f"{path} is damaged ({printable(error)[:200]}): {_WAY_OUT}.") from error


def _load(
    path: Path, results: Mapping[str, Any], shape: tuple[int, ...]
) -> tuple[list[str], dict[str, npt.NDArray[Any]]]:
    """The ids, and per variant the counts (N, *shape); nothing is unpacked before its size is known to be right."""
    images = int(results["images"])
    if images < 1:
        raise _OddError("belongs to a results.json of 0 images")
    with open_regular(path, way_out=_WAY_OUT) as file, zipfile.ZipFile(file) as archive:
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        if len(members) < len(archive.infolist()):
            raise _OddError("holds a name twice")
        if sum(info.file_size for info in members.values()) > _MOST:
            raise _OddError(f"holds more than {_MOST:,} bytes")
        if "ids" not in members:
            raise _OddError("holds no ids of images")
        listed = members.pop("ids")
        if set(members) != set(results["variants"]):
            raise _OddError(f"counts the variants {_some(members)}, but results.json has {_some(results['variants'])}")
        _check_header(path, archive, listed, "U", (images,))
        for info in members.values():
            _check_header(path, archive, info, "iu", (images, *shape))
        ids = [str(image) for image in _array(archive, listed)]
        if len(set(ids)) < len(ids):
            raise _OddError("counts an image twice")
        counts = {name: _array(archive, info) for name, info in members.items()}
    for name, counted in counts.items():
        if counted.min() < 0 or counted.max() > _PIXELS:
            raise _OddError(f"holds counts of '{name}' that are negative or larger than any image")
    return ids, counts


def _check_header(
    path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo, kinds: str, shape: tuple[int, ...]
) -> None:
    """Raise unless an array has a dtype of these kinds and this shape, and its bytes are there."""
    name = printable(info.filename)
    with archive.open(info) as file:
        version = npy.read_magic(file)
        if version not in _HEADERS:
            raise _OddError(f"holds {name} in an unknown version of NumPy's format")
        found, _, dtype = _HEADERS[version](file)
    if dtype.kind not in kinds or dtype.itemsize == 0:
        raise _OddError(
            f"holds {name} of type {dtype}, but {'texts' if kinds == 'U' else 'whole numbers'} are expected"
        )
    if len(found) == len(shape) == 3 and found[1] == found[2] != shape[1]:
        raise InputError(
            f"{path} counts {found[1]} classes, but a report knows those of VOC alone: leave this run out."
        )
    if found != shape:
        raise _OddError(f"holds {name} of shape {found}, but {shape} is expected")
    if math.prod(found) * dtype.itemsize > info.file_size:
        raise _OddError(f"holds {name} cut off")


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> npt.NDArray[Any]:
    with archive.open(info) as file:
        found: npt.NDArray[Any] = npy.read_array(file, allow_pickle=False)
    return found


def _check_scores(rows: Mapping[str, Any], matrices: Mapping[str, npt.NDArray[np.int64]]) -> None:
    """Raise unless the matrices give the scores, and all variants were counted against the same truth."""
    truth = None
    for name, matrix in matrices.items():
        found = scores(matrix.sum(0))
        for key in ("miou", "pixel_accuracy"):
            if not abs(getattr(found, key) - rows[name][key]) <= _TOLERANCE:
                raise _OddError(f"gives another {key} for '{name}' than results.json")
        pixels = matrix.sum(-1)  # (N, C) of each class in the truth
        truth = pixels if truth is None else truth
        if not np.array_equal(pixels, truth):
            raise _OddError(f"counts '{name}' against another truth than the variant before it")


def _check_bands(rows: Mapping[str, Any], trimaps: Mapping[str, npt.NDArray[np.int32]]) -> None:
    """Raise unless hits are within unions, and the trimaps give the scores."""
    for name, counted in trimaps.items():
        if (counted[:, :, 0] > counted[:, :, 1]).any():
            raise _OddError(f"holds more hits than pixels for '{name}'")
        stored = rows[name].get("trimap_miou", {})
        for radius, value in trimap_miou(counted).items():
            wanted = stored.get(str(radius), value)
            if value != wanted and (value is None or wanted is None or not abs(value - wanted) <= _TOLERANCE):
                raise _OddError(f"gives another trimap_miou for '{name}' than results.json")


def _some(names: Mapping[str, Any]) -> str:
    listed = [*names][:4]
    return printable(", ".join(listed)[:200] + (", ..." if len(names) > len(listed) else ""))
