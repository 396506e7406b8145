"""Oxford-IIIT Pet (Parkhi et al. 2012): find it, or download it; its lists as lists of ids."""

from __future__ import annotations

from pathlib import Path

from src.core.errors import InputError
from src.core.files.alone import alone
from src.core.files.reading import read_text
from src.data.files.lists import write_ids
from src.data.sources.download import obtain
from src.data.sources.table import MD5, SOURCES, URL

IMAGES, MASKS = "images", "annotations"  # folders, each from an archive of its own
SPLITS = "splits"  # folder of the lists of ids
LISTS = ("trainval.txt", "test.txt")
COLUMNS = ("id", "class", "species", "breed")  # of the publisher's lists


def locate_images(root: Path) -> Path | None:
    """`root`, if it has the images."""
    return root if (root / IMAGES).is_dir() else None


def locate_masks(root: Path) -> Path | None:
    """`root`, if it has the masks and the publisher's lists."""
    folder = root / MASKS
    return root if (folder / "trimaps").is_dir() and all((folder / name).is_file() for name in LISTS) else None


@SOURCES.add("oxford_pets")
def prepare(root: Path, *, images_url: URL, images_md5: MD5, masks_url: URL, masks_md5: MD5, download: bool) -> Path:
    """`root`, with `images` and `annotations` of the two archives and the lists of ids in `splits`.

    Args:
        root: folder of the data; the archives are also looked for, downloaded and unpacked there.
        images_url: the publisher's archive `images.tar.gz` (792 MB).
        images_md5: its checksum, 32 hex digits.
        masks_url: the publisher's archive `annotations.tar.gz` (19 MB).
        masks_md5: its checksum, 32 hex digits.
        download: False: raise InputError instead of using the network.

    Raises:
        InputError: also if a line of the publisher's lists is not as described there.
    """
    obtain(root, locate_images, url=images_url, md5=images_md5, download=download, traces=(IMAGES,))
    obtain(root, locate_masks, url=masks_url, md5=masks_md5, download=download, traces=(MASKS,))
    made = [root / SPLITS / name for name in LISTS]
    if not all(path.is_file() for path in made):
        with alone(root):
            missing = {path: _ids(root / MASKS / path.name) for path in made if not path.is_file()}
            for path, ids in missing.items():
                _write(path, ids)
    return root


def _ids(official: Path) -> list[str]:
    """The ids of a publisher's list."""
    ids = []
    for number, line in enumerate(read_text(official, way_out="restore it from the archive").splitlines(), 1):
        words = line.split()
        if words and (len(words) != len(COLUMNS) or not all(word.isdecimal() for word in words[1:])):
            raise InputError(
                f"{official}, line {number}: must be {', '.join(COLUMNS)}; restore the list from the archive."
            )
        ids += words[:1]
    return ids


def _write(path: Path, ids: list[str]) -> None:
    """The list, in a folder that is made if it is missing."""
    try:
        path.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(f"{path.parent}: can be no folder for lists ({error.strerror}); move it away.") from error
    write_ids(path, ids)
