"""The Semantic Boundaries Dataset (Hariharan et al. 2011): more training masks for VOC2012, called "trainaug"."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import track

from src.core.errors import InputError
from src.core.files.alone import alone
from src.data.classes import Labels
from src.data.files.folder import ImageFolder
from src.data.files.lists import FOLDER, read_ids, write_ids
from src.data.sources import voc
from src.data.sources.download import obtain
from src.data.sources.table import MD5, SOURCES, URL, Within
from src.data.sources.voc import voc_folder, voc_palette

MASKS = "SegmentationClassAug"
LIST = "train_aug"


def locate(root: Path) -> Path | None:
    """The SBD folder, with `cls`, `train.txt` and `val.txt`: `root` itself, or the unpacked archive in it."""
    for path in (root / "benchmark_RELEASE" / "dataset", root / "dataset", root / "sbd", root):
        if (path / "cls").is_dir() and (path / "train.txt").is_file() and (path / "val.txt").is_file():
            return path
    return None


def trainaug_ids(sbd: Iterable[str], train: Iterable[str], val: Iterable[str]) -> list[str]:
    """Sorted ids of SBD (train and val) and of VOC's train, without VOC's val: 10,582 in the official data."""
    return sorted((set(sbd) | set(train)) - set(val))


def read_mat(path: Path) -> Labels:
    """Labels (H, W) uint8 {0..20} of an SBD `cls` file, from field `Segmentation` of the struct `GTcls`.

    Raises:
        InputError: the file is missing or broken, lacks that field, or has a label that VOC does not have.
    """
    from scipy.io import loadmat  # imported here: it is slow to import and needed only once

    try:
        with path.open("rb") as file:
            mask = np.asarray(loadmat(file, variable_names=["GTcls"])["GTcls"]["Segmentation"][0, 0])
    except FileNotFoundError:
        raise InputError(f"{path} is missing; unpack {path.parent.name} from SBD's archive again") from None
    except Exception as error:  # SciPy raises a dozen unrelated types, depending on the damage
        problem = f"{type(error).__name__}: {error}"
        raise InputError(
            f"{path} has no readable GTcls.Segmentation ({problem}); restore it from SBD's archive"
        ) from error
    return voc_folder(path.parent).labelling.of_values(mask, path)


@SOURCES.add("voc_sbd")
def prepare(
    root: Path,
    *,
    url: URL,
    md5: MD5,
    sbd_url: URL,
    sbd_md5: MD5,
    download: bool,
    expected: Annotated[int, Within(1, 10**9)],
) -> Path:
    """The `VOC2012` folder under `root`, with `SegmentationClassAug` and the list `train_aug`.

    All masks appear at once, then the list. This takes about a minute, only once.

    Args:
        root: as for `voc.prepare`; SBD is also looked for, downloaded and unpacked there.
        url: VOC's archive.
        md5: its checksum, 32 hex digits.
        sbd_url: SBD's archive `benchmark.tgz` (1.4 GB).
        sbd_md5: its checksum, 32 hex digits.
        download: False: raise InputError instead of using the network.
        expected: number of ids `train_aug` must have.

    Raises:
        InputError: also if the list has another length, an id of VOC's val, or an id without an image.
    """
    folder = voc_folder(voc.prepare(root, url=url, md5=md5, download=download))
    if not _is_made(folder):
        traces = ("benchmark_RELEASE", "dataset", "sbd", "cls")
        sbd = obtain(root, locate, url=sbd_url, md5=sbd_md5, download=download, traces=traces)
        with alone(root):
            if not _is_made(folder):
                _make(folder, sbd, expected=expected)
    _check(folder.ids(LIST), folder.ids("val"), expected=expected, source=_list(folder))
    return folder.path


def _list(folder: ImageFolder) -> Path:
    return folder.path / FOLDER / f"{LIST}.txt"


def _is_made(folder: ImageFolder) -> bool:
    return _list(folder).is_file() and (folder.path / MASKS).is_dir()


def _make(folder: ImageFolder, sbd: Path, *, expected: int) -> None:
    """Write SBD's masks and the list into VOC's folder."""
    val = folder.ids("val")
    ids = trainaug_ids(_sbd_ids(sbd), folder.ids("train"), val)
    _check(ids, val, expected=expected, source=sbd)
    if missing := [image_id for image_id in ids if not folder.image_path(image_id).is_file()]:
        example = folder.image_path(missing[0])
        raise InputError(f"images of {LIST} are missing: {len(missing):,}, first {example}; unpack VOC2012 again")
    if not (folder.path / MASKS).is_dir():  # if it exists without the list: copied by hand, or interrupted
        _write_masks(folder, sbd, ids)
    if missing := [image_id for image_id in ids if not folder.mask_path(image_id).is_file()]:
        raise InputError(
            f"{folder.path / MASKS} lacks masks: {len(missing):,}, first {missing[0]}.png; move the folder away"
        )
    write_ids(_list(folder), ids)


def _sbd_ids(sbd: Path) -> list[str]:
    """Ids of SBD's own train and val (8,498 and 2,857); SBD's split differs from VOC's."""
    return read_ids(sbd / "train.txt") + read_ids(sbd / "val.txt")


def _check(ids: list[str], val: list[str], *, expected: int, source: Path) -> None:
    """Raises InputError unless the number of `ids` is `expected` and none of them is in `val`."""
    if shared := sorted(set(ids) & set(val)):
        raise InputError(
            f"{source} has images of VOC's val in {LIST}: {len(shared):,}, first {shared[0]}; delete the list"
        )
    if len(ids) != expected:
        raise InputError(
            f"{source} gives {len(ids):,} ids of {LIST}, expected {expected:,}; compare train.txt and val.txt of "
            f"VOC2012 and of SBD with the official ones, or delete {LIST}.txt to build it again"
        )


def _write_masks(folder: ImageFolder, sbd: Path, ids: list[str]) -> None:
    """Fills `SegmentationClassAug` with VOC's own mask if there is one, else with SBD's. All masks, or none."""
    own = voc_folder(folder.path, masks=("SegmentationClass",))
    palette = voc_palette().tobytes()
    with tempfile.TemporaryDirectory(dir=folder.path, prefix=f".{MASKS}-") as temporary:
        masks = Path(temporary) / MASKS
        masks.mkdir()
        for image_id in track(ids, description="masks of SBD", console=Console(stderr=True, markup=False, emoji=False)):
            source = own.mask_path(image_id)
            if source.is_file():
                (masks / source.name).write_bytes(source.read_bytes())
                continue
            mask = read_mat(sbd / "cls" / f"{image_id}.mat")
            size = folder.size(image_id)  # (W, H)
            if size != mask.shape[::-1]:
                sizes = f"is {mask.shape[1]} x {mask.shape[0]} px, but its image is {size[0]} x {size[1]}"
                raise InputError(f"{sbd / 'cls' / image_id}.mat {sizes}; restore both from their archives")
            png = Image.fromarray(mask)
            png.putpalette(palette)
            png.save(masks / f"{image_id}.png")
        masks.rename(folder.path / MASKS)
