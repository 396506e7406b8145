"""The generated data set on disk, in VOC's layout."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Annotated

from PIL import Image
from rich.progress import track

from src.core.errors import InputError
from src.core.files.alone import alone
from src.data.sources.shapes.render import make_sample
from src.data.sources.table import SOURCES, Within, check_options, check_root
from src.data.sources.voc import voc_palette

GENERATOR_VERSION = 1  # raise it whenever the pictures change: folders of an older version are made again
JPEG_QUALITY = 92
STAMP = "shapes.json"


Seed = Annotated[int, Within(0, 2**63 - 1)]
Count = Annotated[int, Within(1, 10**6)]  # an hour's work
Side = Annotated[int, Within(64, 4096)]


@SOURCES.add("shapes")
def prepare(root: Path, *, seed: Seed, train: Count, val: Count, height: Side, width: Side) -> Path:
    """Write the data set below `root`, unless it is already there.

    Validation takes the image numbers 0 to `val` - 1, training the numbers after them. So a larger training set leaves
    the validation images and the earlier training images unchanged.

    Args:
        root: folder that receives `VOCdevkit/VOC2012`.
        seed: for everything; an image depends only on it, on its own number, on `height` and on `width`.
        train: number of training images.
        val: number of validation images.
        height: of a landscape image in pixels, varied by a tenth; one image in five is upright.
        width: likewise.

    Returns:
        The folder `VOC2012`, with JPEGImages, SegmentationClass and ImageSets/Segmentation/{train,val,trainval}.txt.

    Raises:
        InputError: a parameter is out of range, `root` is not writable, or the folder holds other data.
    """
    folder = root / "VOCdevkit" / "VOC2012"
    parameters = {"seed": seed, "train": train, "val": val, "height": height, "width": width}
    check_options(prepare, parameters)
    check_root(root)
    stamp = json.dumps({"generator": GENERATOR_VERSION, **parameters}, indent=2) + "\n"
    try:
        if _is_current(folder, stamp):
            return folder
        with alone(folder.parent):
            if _is_current(folder, stamp):
                return folder
            with tempfile.TemporaryDirectory(prefix=".shapes-", dir=folder.parent) as scratch:
                fresh = Path(scratch) / "new"
                _write(fresh, seed=seed, train=train, val=val, height=height, width=width)
                (fresh / STAMP).write_text(stamp, encoding="utf-8")
                _swap(fresh, folder, aside=Path(scratch) / "old")
    except OSError as error:
        raise InputError(
            f"{root} cannot hold the generated images ({error.strerror}); set data.root to a folder you may write to"
        ) from error
    return folder


def _is_current(folder: Path, stamp: str) -> bool:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    if not (folder / STAMP).is_file():
        raise InputError(
            f"{folder} holds data that was not generated here, so it is not changed; set data.root to another folder"
        )
    return (folder / STAMP).read_text(encoding="utf-8") == stamp


def _write(folder: Path, *, seed: int, train: int, val: int, height: int, width: int) -> None:
    images, masks, lists = folder / "JPEGImages", folder / "SegmentationClass", folder / "ImageSets" / "Segmentation"
    for made in (images, masks, lists):
        made.mkdir(parents=True)
    ids = [f"shapes_{index:06d}" for index in range(val + train)]
    for index, image_id in enumerate(track(ids, description="Generating images", transient=True)):
        rgb, mask = make_sample(seed, index, height=height, width=width)
        Image.fromarray(rgb).save(images / f"{image_id}.jpg", quality=JPEG_QUALITY)
        coloured = Image.fromarray(mask)
        coloured.putpalette(voc_palette().tobytes())
        coloured.save(masks / f"{image_id}.png")
    for name, members in (("val", ids[:val]), ("train", ids[val:]), ("trainval", ids)):
        (lists / f"{name}.txt").write_text("".join(f"{image_id}\n" for image_id in members), encoding="utf-8")


def _swap(fresh: Path, folder: Path, *, aside: Path) -> None:
    """Replace `folder` by `fresh`, unless another process has already put the same version there."""
    if folder.is_dir():
        if (folder / STAMP).is_file() and (folder / STAMP).read_bytes() == (fresh / STAMP).read_bytes():
            return
        folder.rename(aside)
    fresh.rename(folder)
