"""Photos are found once each, named apart, and read as a viewer shows them."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from src.core.errors import InputError
from src.data.files.photos import find_photos, names_of, photo_of, read_photo

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 9, 3), dtype=np.uint8)
OPTIONS = {"png": {}, "tiff": {}, "webp": {"lossless": True}, "jpeg": {"quality": 95}}


@pytest.mark.parametrize("kind", OPTIONS)
@pytest.mark.parametrize("flag", range(1, 9))
def test_a_photo_is_turned_as_pillow_turns_it(kind, flag):
    exif = Image.Exif()
    exif[0x112] = flag
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, format=kind, exif=exif, **OPTIONS[kind])
    rgb, notes = photo_of(buffer.getvalue(), Path("x"), white=None)
    with Image.open(buffer) as image:
        wanted = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    assert rgb.shape == wanted.shape and (rgb == wanted).all() and rgb.flags.c_contiguous
    assert bool(notes) == (flag != 1)


@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_so_is_one_of_16_bits(kind):
    exif = Image.Exif()
    exif[0x112] = 6
    buffer = io.BytesIO()
    Image.fromarray(PIXELS[..., 0].astype(np.uint16) * 257).save(buffer, format=kind, exif=exif)
    rgb, _ = photo_of(buffer.getvalue(), Path("x"), white=65535)
    assert (rgb[..., 0] == np.rot90(PIXELS[..., 0], -1)).all()


def test_damaged_exif_turns_nothing(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "x.png", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    rgb, notes = read_photo(tmp_path / "x.png", white=None)
    assert (rgb == PIXELS).all() and not notes


def test_folders_patterns_and_lists_name_each_photo_once(tmp_path):
    for place in ("in/b.PNG", "in/a.jpg", "in/.hidden.jpg", "in/notes.txt", "in/.git/x.jpg", "in/out/y.png", "c.jpg"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).touch()
    (tmp_path / "list.txt").write_text("in/../c.jpg\n\nin/a.jpg\nc.jpg\nmissing.jpg\n")

    def found(*words, besides=None):
        paths = find_photos([str(tmp_path / word) for word in words], besides=besides)
        return [path.relative_to(tmp_path).as_posix() for path in paths]

    assert found("in") == ["in/a.jpg", "in/b.PNG", "in/out/y.png"]
    assert found("in", besides=tmp_path / "in" / "out") == ["in/a.jpg", "in/b.PNG"]
    assert found("list.txt") == ["c.jpg", "in/a.jpg", "missing.jpg"]  # which is told when it is read
    assert found("*/*.jpg", "in/a.jpg", "c.jpg") == ["in/a.jpg", "c.jpg"]
    with pytest.raises(InputError, match="fits no file"):
        found("*.tif")


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["/d/a.jpg"], ["a"]),
        (["/d/x/a.jpg", "/d/y/a.jpg"], ["x/a", "y/a"]),
        (["/d/a.jpg", "/d/a.png", "/d/b.png"], ["a.jpg", "a.png", "b"]),
        (["/d/a.tar.jpg", "/e/b.jpg"], ["d/a.tar", "e/b"]),
    ],
)
def test_names_are_the_paths_below_the_common_folder(paths, names):
    assert names_of([Path(path) for path in paths]) == names


def test_names_stay_apart_where_capitals_do_not_count_and_are_never_too_long():
    names = names_of([Path("/d/A.jpg"), Path("/d/a.jpg"), Path(f"/d/{'é' * 120}.jpg"), Path(f"/d/{'é' * 121}.jpg")])
    assert len({name.casefold() for name in names}) == 4 and all(len(name.encode()) < 230 for name in names)
