"""Text files with one id per line. No torch."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from src.core.errors import InputError
from src.core.files.whole import replacing
from src.data.files.decoding import read_bytes
from src.data.files.patterns import is_id

FOLDER = Path("ImageSets", "Segmentation")  # of VOC's lists
BYTES = 2**26  # of a list of ids: three million of them


def find_list(root: Path, name: str | Path) -> Path:
    """The list called `name`: in VOC's folder of lists without `.txt`, else a path below `root`, else any path.

    What is there but no regular file, such as a pipe, is left to `read_bytes`.

    Raises:
        InputError: there is none.
    """
    candidates = [root / FOLDER / f"{name}.txt", root / name, Path(name)]
    for is_there in (Path.is_file, lambda path: path.exists() and not path.is_dir()):
        for path in candidates:
            try:
                if is_there(path):
                    return path
            except (OSError, ValueError):  # a name that no file can have
                continue
    known = ", ".join(sorted(file.stem for file in (root / FOLDER).glob("*.txt"))) or "none"
    raise InputError(f"neither {candidates[0]} nor {candidates[2]} is a list of ids; lists there: {known}")


def read_ids(path: Path) -> list[str]:
    """Ids in the order of a list, without blank lines.

    Raises:
        InputError: the file is missing or empty, has an id twice, or a line that is not an id.
    """
    data = read_bytes(path, limit=BYTES)
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not a text file; give a list with one image id per line") from error
    if "\0" in text:
        raise InputError(f"{path} is not a text file; give a list with one image id per line")
    ids: dict[str, int] = {}  # with the number of the line; messages leave out the text of a file that is no list
    for number, line in enumerate(text.split("\n"), 1):
        image_id = line.strip(" \t\r\f")
        if not image_id:
            continue
        if not is_id(image_id) or "\t" in image_id or "  " in image_id:
            raise InputError(f"{path}, line {number}: write one bare id per line, such as 2007_000032")
        if image_id in ids:
            raise InputError(f"{path}, line {number}: the same id as in line {ids[image_id]}; remove one of the lines")
        ids[image_id] = number
    if not ids:
        raise InputError(f"{path} names no image; give a list with one image id per line")
    return list(ids)


def write_ids(path: Path, ids: Iterable[str]) -> None:
    """Write one id per line; the list appears whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text("".join(f"{image_id}\n" for image_id in ids), encoding="utf-8")
