"""The counts of a run: read from files that anybody may have written, and believed only if they fit its scores."""

import hashlib
import math
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy

from src.core.errors import InputError, printable
from src.core.files.reading import open_regular
from src.data.classes import Classes
from src.runs.checks.records import THEN_AGAIN
from src.runs.folder import RunFolder
from src.scoring.metrics import RADII, boundary_iou, margins, scores_of, trimap_miou

_MOST = 2**34  # bytes of the counts in one file: 49 variants of 100,000 images of 21 classes; read block by block
_BLOCK = 2**24  # counts at a time
_PIXELS = 2**32  # of one image
_WAY_OUT = f"delete results.json beside it, then {THEN_AGAIN}"
_TOLERANCE = 1e-9  # of a score that is computed again
_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


@dataclass(frozen=True)
class Counts:
    """The counts from which a cell's scores are computed, with its `results.json`.

    Attributes:
        ids: of the N images, each once.
        margins: variant to (N, 3, C) pixels per class: correct, true, predicted.
        trimaps: variant to (N, len(RADII), 2, C); empty if they were not counted.
        boundaries: variant to (N, 2, C); empty if they were not counted, as by versions before 0.3.
        results: the content of `results.json`.
        classes: of the labels.
    """

    ids: list[str]
    margins: Mapping[str, npt.NDArray[np.int64]]
    trimaps: Mapping[str, npt.NDArray[np.int32]]
    results: Mapping[str, Any]
    classes: Classes
    boundaries: Mapping[str, npt.NDArray[np.int32]] = field(default_factory=dict)

    @property
    def order(self) -> npt.NDArray[np.intp]:
        """(N,) places of the images in the order of their ids: so the rows of several runs meet image by image."""
        return np.argsort(np.array(self.ids))

    @cached_property
    def images(self) -> tuple[str, ...]:
        """The ids in their order, and a hash of the pixels of each class in each image: equal if the truth is."""
        truth = next(iter(self.margins.values()))[self.order, 1]
        return (*sorted(self.ids), hashlib.sha256(truth.astype(np.int64).tobytes()).hexdigest())


class _OddError(Exception):
    """What is wrong with a file; the words that follow its name in a sentence."""


def read_counts(folder: RunFolder) -> Counts:
    """The counts per image in a folder with results.

    Raises:
        InputError: they are missing or damaged, or are not those from which the scores in `results.json` were computed.
    """
    results = folder.read_results()
    rows = results["variants"]
    classes = _classes(folder.results, results)
    size = len(classes)
    with _named(folder.confusion):
        ids, counted = _load(folder.confusion, results, (size, size), margins)
        _check_scores(rows, counted)
    trimaps = _near(folder.trimaps, results, (len(RADII), 2, size), ids)
    boundaries = _near(folder.boundaries, results, (2, size), ids)
    with _named(folder.trimaps):
        _check_bands(rows, trimaps)
    with _named(folder.boundaries):
        for name, found in boundaries.items():
            _check_score("boundary_iou", name, boundary_iou(found), rows[name].get("boundary_iou"))
    return Counts(ids, counted, trimaps, results, classes, boundaries)


def _near(path: Path, results: Mapping[str, Any], shape: tuple[int, ...], ids: list[str]) -> dict[str, Any]:
    """Hits and unions near boundaries, (N, *shape) per variant, in the order of `ids`; empty if there is no file."""
    if not path.exists():
        return {}
    with _named(path):
        found, counted = _load(path, results, shape, lambda block: block)
        for name, one in counted.items():
            if (one[..., 0, :] > one[..., 1, :]).any():
                raise _OddError(f"holds more hits than pixels for '{name}'")
        if sorted(found) != sorted(ids):
            raise _OddError("counts other images than confusion.npz")
        place = {image: number for number, image in enumerate(found)}
        return {name: one[[place[image] for image in ids]] for name, one in counted.items()}


def _classes(path: Path, results: Mapping[str, Any]) -> Classes:
    """The classes of the scores; versions before 0.3 stored only their names, as keys of the IoU."""
    listed = [tuple(row["iou"]) for row in results["variants"].values() if "iou" in row]
    if "classes" in results:
        stored = results["classes"]
        names, background = stored["names"], stored["background"]
        if len(stored["colours"]) != len(names) or (background is not None and background not in names):
            raise InputError(f"{path}: its classes contradict each other: {_WAY_OUT}.")
        classes = Classes.stored(stored)
    elif listed and len(listed[0]) > 1:
        classes = Classes.named(listed[0], background="background" if "background" in listed[0] else None)
    else:
        raise InputError(f"{path}: names no classes: {_WAY_OUT}.")
    if any(names != classes.names for names in listed):
        raise InputError(f"{path}: the variants have different classes: {_WAY_OUT}.")
    return classes


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
    path: Path,
    results: Mapping[str, Any],
    shape: tuple[int, ...],
    reduce: Callable[[npt.NDArray[Any]], npt.NDArray[Any]],
) -> tuple[list[str], dict[str, npt.NDArray[Any]]]:
    """The ids, and per variant the counts (N, *shape) after `reduce`, which gets a few images at a time.

    Nothing is unpacked before its size is known to be right.
    """
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
        counts = {
            name: np.concatenate([reduce(block) for block in _blocks(archive, info)]) for name, info in members.items()
        }
    return ids, counts


def _blocks(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[npt.NDArray[Any]]:
    """The rows of an array whose header is known to be right."""
    with archive.open(info) as file:
        shape, fortran, dtype = _HEADERS[npy.read_magic(file)](file)
        if fortran:
            raise _OddError(f"holds {printable(info.filename)} in Fortran's order")
        row = math.prod(shape[1:])
        step = max(1, _BLOCK // row)
        for first in range(0, shape[0], step):
            count = min(step, shape[0] - first)
            content = file.read(count * row * dtype.itemsize)
            block = np.frombuffer(content, dtype).reshape(count, *shape[1:])
            if block.min() < 0 or block.max() > _PIXELS:
                raise _OddError(
                    f"holds counts in {printable(info.filename)} that are negative or larger than any image"
                )
            yield block.astype(np.int64)


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
        raise _OddError(f"counts {found[1]} classes, but results.json has {shape[1]}")
    if found != shape:
        raise _OddError(f"holds {name} of shape {found}, but {shape} is expected")
    if math.prod(found) * dtype.itemsize > info.file_size:
        raise _OddError(f"holds {name} cut off")


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> npt.NDArray[Any]:
    with archive.open(info) as file:
        found: npt.NDArray[Any] = npy.read_array(file, allow_pickle=False)
    return found


def _check_scores(rows: Mapping[str, Any], counted: Mapping[str, npt.NDArray[np.int64]]) -> None:
    """Raise unless the margins give the scores, and all variants were counted against the same truth."""
    truth = None
    for name, margin in counted.items():
        found = scores_of(margin.sum(0))
        for key in ("miou", "pixel_accuracy"):
            if not abs(getattr(found, key) - rows[name][key]) <= _TOLERANCE:
                raise _OddError(f"gives another {key} for '{name}' than results.json")
        pixels = margin[:, 1]  # (N, C) of each class in the truth
        truth = pixels if truth is None else truth
        if not np.array_equal(pixels, truth):
            raise _OddError(f"counts '{name}' against another truth than the variant before it")


def _check_bands(rows: Mapping[str, Any], trimaps: Mapping[str, npt.NDArray[np.int32]]) -> None:
    """Raise unless the trimaps give the scores."""
    for name, counted in trimaps.items():
        stored = rows[name].get("trimap_miou", {})
        for radius, value in trimap_miou(counted).items():
            _check_score("trimap_miou", name, value, stored.get(str(radius), value))


def _check_score(key: str, variant: str, value: float | None, wanted: float | None) -> None:
    if value != wanted and (value is None or wanted is None or not abs(value - wanted) <= _TOLERANCE):
        raise _OddError(f"gives another {key} for '{variant}' than results.json")


def _some(names: Mapping[str, Any]) -> str:
    return printable(", ".join([*names][:4])[:200] + (", ..." if len(names) > 4 else ""))
