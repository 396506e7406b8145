"""What is wrong with a file of an image or a mask is said, and nothing that is right is refused."""

import io
import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageFile

from src.core.errors import InputError
from src.data.classes import read_classes
from src.data.files.decoding import LARGEST, image_size, read_bytes, read_rgb
from src.data.files.labels import Labelling
from src.data.sources.voc import voc_folder, voc_palette
from tests.data.lists import list_path, look_over

read_labels = voc_folder(Path()).labelling.read
NOISE = np.random.default_rng(0).integers(0, 256, (64, 48, 3), dtype=np.uint8)
LABELS = np.tile(np.array([0, 1, 2, 255], dtype=np.uint8), (6, 5))


def encoded(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


JPEG = encoded(Image.fromarray(NOISE), "JPEG")


def mask(labels=LABELS, palette=None, **options):
    image = Image.fromarray(np.asarray(labels, dtype=np.uint8))
    if palette is not None:
        image.putpalette(np.asarray(palette, dtype=np.uint8).tobytes())
    return encoded(image, "PNG", **options)


def overwritten(data, count=300):
    middle = len(data) // 2
    return data[:middle] + np.random.default_rng(1).bytes(count) + data[middle + count :]


def chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(width, height, depth=8, kind=0, rows=b""):
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def next_page(tiff, header):
    """A TIFF file whose second page has this header."""
    (first,) = struct.unpack_from("<I", tiff, 4)
    (entries,) = struct.unpack_from("<H", tiff, first)
    place = first + 2 + 12 * entries
    return tiff[:place] + struct.pack("<I", len(tiff)) + tiff[place + 4 :] + header


@pytest.mark.parametrize("tolerant", [False, True])
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (JPEG[: len(JPEG) // 2] + b"\xff\xd9", "damaged or cut off"),
        (overwritten(JPEG), "damaged or cut off"),
        (overwritten(encoded(Image.fromarray(NOISE).convert("CMYK"), "JPEG")), "damaged or cut off"),
        (overwritten(encoded(Image.fromarray(NOISE).convert("L"), "JPEG")), "damaged or cut off"),
        (JPEG[:-2], "damaged or cut off"),
        (JPEG[:300], "damaged|not an image|cut off"),
        (overwritten(encoded(Image.fromarray(NOISE), "PNG"), 1), "damaged or cut off .*checksum"),
        (encoded(Image.fromarray(NOISE), "PNG")[:-13], "damaged or cut off"),
        (b"", "empty or not an image"),
        (b"\0" * 99, "empty or not an image"),
        (encoded(Image.fromarray(np.arange(0, 9000, 9, dtype=np.uint16).reshape(40, 25)), "PNG"), "more than 8 bits"),
        (encoded(Image.new("F", (4, 4)), "TIFF"), "more than 8 bits"),
        (next_page(encoded(Image.new("L", (4, 4)), "TIFF"), b"\0\0\0\0\0\0"), "damaged or cut off"),
        (png(0, 5), "0 x 5 px, so it has no pixels"),
        (png(10**5, 10**5), "100000 x 100000 px, more than 89 million"),
        (encoded(Image.new("1", (16, 16)), "BMP").replace(struct.pack("<ii", 16, 16), b"\xf0\xff\0\0" * 2), "million"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_bad_image_is_named(content, says, tolerant, tmp_path, monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", tolerant)
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(InputError, match=rf"a\.jpg.*({says})"):
        read_rgb(tmp_path / "a.jpg")


def test_a_jpeg_that_is_too_large_is_not_decoded(tmp_path):
    side = struct.pack(">HH", 60000, 60000)
    (tmp_path / "a.jpg").write_bytes(JPEG.replace(struct.pack(">HH", 64, 48), side))
    with pytest.raises(InputError, match="60000 x 60000 px, more than"):
        read_rgb(tmp_path / "a.jpg")
    assert LARGEST > 89e6


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK", "1", "P", "RGBA"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 1}, {"subsampling": "4:1:1"}], ids=str)
def test_every_variety_gives_the_pixels_that_pillow_gives(mode, options, tmp_path):
    image = Image.fromarray(NOISE).convert(mode)
    data = encoded(image, "JPEG", **options) if mode in ("RGB", "L", "CMYK") else encoded(image, "PNG")
    path = tmp_path / "a.jpg"
    path.write_bytes(data + b"trailing bytes" * (mode == "RGB"))
    expected = np.array(Image.open(io.BytesIO(data)).convert("RGB"))
    np.testing.assert_array_equal(read_rgb(path), expected)
    assert read_rgb(path).flags.writeable and image_size(path) == (48, 64)


def test_pixels_stay_as_stored_whatever_the_orientation(tmp_path):
    exif = Image.Exif()
    exif[0x112] = 6  # turned by 90 degrees
    Image.fromarray(NOISE).save(tmp_path / "a.jpg", exif=exif)
    assert read_rgb(tmp_path / "a.jpg").shape == NOISE.shape


VOC = voc_palette()
SORTED = VOC.copy()
SORTED[[1, 2, 3]] = VOC[[2, 255, 1]]
DARK = np.zeros((256, 3))
DARK[:4] = VOC[:4]


@pytest.mark.parametrize(
    "palette",
    [None, VOC, VOC[:3], np.repeat(np.arange(256)[:, None], 3, 1), 255 - VOC, DARK],
    ids=["none", "VOC", "short", "grey", "other", "black rest"],
)
def test_masks_whose_palette_does_not_contradict_are_valid(palette, tmp_path):
    labels = LABELS % 3 if palette is not None and len(palette) == 3 else LABELS
    (tmp_path / "a.png").write_bytes(mask(labels, palette))
    np.testing.assert_array_equal(read_labels(tmp_path / "a.png"), labels)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (mask(palette=SORTED), "label 1 the colour of bicycle, which is 2"),
        (mask(np.full((2, 2), 2), SORTED), "label 2 the colour of void, which is 255"),
        (mask(LABELS % 3, SORTED[:3]), "label 1 the colour of bicycle"),
        (overwritten(mask(np.arange(400).reshape(20, 20) % 21), 1), "damaged or cut off"),
        (mask()[:-12], "damaged or cut off"),
        (JPEG, "lossy format .JPEG"),
        (encoded(Image.fromarray(NOISE), "WEBP"), "lossy format .WEBP"),
        (encoded(Image.fromarray(NOISE), "TIFF", compression="jpeg"), "lossy format .TIFF"),
        (encoded(Image.fromarray(NOISE), "JPEG2000"), "lossy format .JPEG2000"),
        (png(2, 1, depth=8, kind=0, rows=b"\0\x01\x1e"), "labels 30, allowed are 0..20 and 255"),
        (encoded(Image.fromarray(NOISE), "PNG"), "has colours, not labels"),
        (encoded(Image.fromarray(LABELS.astype(np.uint16) + 300), "PNG"), "labels 300, 301, 302, 555"),
        (encoded(Image.fromarray(LABELS.astype(np.float32)), "TIFF"), "float32 values"),
        (encoded(Image.fromarray(LABELS), "TIFF", save_all=True, append_images=[Image.new("L", (5, 5))]), "2 pages"),
        (png(5, 0), "no pixels"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("tolerant", [False, True])
def test_a_bad_mask_is_named(content, says, tolerant, tmp_path, monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", tolerant)
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(InputError, match=rf"a\.png.*{says}"):
        read_labels(tmp_path / "a.png")


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "WEBP"])
def test_masks_of_every_lossless_format_are_read(kind, tmp_path):
    grey = LABELS if kind != "WEBP" else LABELS[..., None].repeat(3, -1)
    (tmp_path / "a.png").write_bytes(
        encoded(Image.fromarray(grey), kind, **({"lossless": True} if kind == "WEBP" else {}))
    )
    if kind == "WEBP":  # which has no grey pictures
        classes = {f"c{k}": [k, k, k] for k in range(3)}
        found = read_classes(classes, None)[0]
        labels = Labelling(found, (255, 255, 255), {}, by_colour=True, stated=True).read(tmp_path / "a.png")
    else:
        labels = read_labels(tmp_path / "a.png")
    np.testing.assert_array_equal(labels, LABELS)


def test_values_of_less_and_more_than_eight_bits_are_labels(tmp_path):
    (tmp_path / "a.png").write_bytes(png(2, 1, depth=4, rows=b"\0\x1e"))
    assert read_labels(tmp_path / "a.png").tolist() == [[1, 14]]
    Image.fromarray(np.array([[1, 0]], dtype=np.uint8) * 255).convert("1").save(tmp_path / "b.png")
    assert read_labels(tmp_path / "b.png").tolist() == [[1, 0]]
    Image.fromarray(LABELS.astype(np.uint16)).save(tmp_path / "c.tif")
    np.testing.assert_array_equal(read_labels(tmp_path / "c.tif"), LABELS)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 3)])
def test_images_of_sixteen_bits_are_scaled_to_their_white(kind, shape, tmp_path):
    values = np.random.default_rng(0).integers(0, 4096, shape, dtype=np.uint16)
    stored = values if len(shape) == 2 else values[..., ::-1]
    (tmp_path / "a").write_bytes(cv2.imencode(f".{kind.lower()}", stored)[1].tobytes())
    with pytest.raises(InputError, match=r"more than 8 bits.*data\.white=65535"):
        read_rgb(tmp_path / "a")
    expected = np.rint(values * (255 / 4095)).astype(np.uint8)
    np.testing.assert_array_equal(
        read_rgb(tmp_path / "a", white=4095), expected if len(shape) == 3 else np.stack([expected] * 3, -1)
    )


def test_what_is_no_regular_file_is_never_opened(tmp_path):
    """A pipe has no end until somebody writes to it."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").write_bytes(b"12345")
    names = ("pipe", "folder", "loop", "n" * 300, "file/inside", "none")
    found = ("a pipe", "a folder", "symbolic links", "name too long", "missing", "missing")
    for name, says in zip(names, found, strict=True):
        for read in (read_bytes, read_rgb, read_labels, image_size):
            with pytest.raises(InputError, match=f"(?i){name[:9]}.*{says}"):
                read(tmp_path / name)
    with pytest.raises(InputError, match="5 bytes, more than 4"):
        read_bytes(tmp_path / "file", limit=4)
    with pytest.raises(InputError, match="/dev/zero is a pipe, socket or device"):
        read_bytes(type(tmp_path)("/dev/zero"))


@pytest.fixture
def folder(tmp_path):
    """Images and masks `a` and `b`, both fine."""
    for part in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (tmp_path / part).mkdir(parents=True)
    found = voc_folder(tmp_path)
    list_path(found, "train").write_text("a\nb\n")
    for image_id in "ab":
        found.image_path(image_id).write_bytes(JPEG)
        found.mask_path(image_id).write_bytes(mask(np.zeros((64, 48)), VOC))
    return found


@pytest.mark.parametrize(
    ("which", "content", "fault"),
    [
        ("image_path", JPEG[: len(JPEG) // 2] + b"\xff\xd9", "(JPEGImages/a.jpg) unreadable or cut off"),
        ("image_path", overwritten(JPEG), "(JPEGImages/a.jpg) unreadable or cut off"),
        ("image_path", None, "(JPEGImages/a.jpg) unreadable or cut off"),
        ("mask_path", None, "(SegmentationClass/a.png) unreadable or cut off"),
        (
            "image_path",
            encoded(Image.new("I;16", (48, 64)), "PNG"),
            "(JPEGImages/a.jpg) with more than 8 bits per value (data.white=65535 reads them)",
        ),
        (
            "mask_path",
            mask(np.full((64, 48), 1), SORTED),
            "(SegmentationClass/a.png (1 is coloured as bicycle)) whose palette gives a label another one's colour",
        ),
    ],
)
def test_the_check_finds_what_a_training_would_fail_on(folder, which, content, fault):
    path = getattr(folder, which)("a")
    path.unlink()
    if content is None:
        os.mkfifo(path)
    else:
        path.write_bytes(content)
    with pytest.raises(InputError, match=path.name):
        folder.read_pair("a")
    assert look_over(folder, {"train": "train"}).problems == [f"train: 1 file {fault}"]
    folder.read_pair("b")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"a\0b\n", "not a text file"),
        (b"\x80\x81", "not a text file"),
        (b"a\n..\n", "line 2: write one bare id"),
        (b".\n", "line 1: write one bare id"),
        (b"..\\x\n", "bare id"),
        (b"a\x07\n", "bare id"),
        (b"a\x0bb\n", "bare id"),
        (b"a\xc2\x85b\n", "bare id"),
        (b"n" * 300, "bare id"),
        (b"\n" * (2**26 + 1), "bytes, more than"),
    ],
    ids=lambda value: str(value[:9]),
)
def test_a_list_that_is_none_is_named(folder, content, says):
    list_path(folder, "bad").write_bytes(content)
    with pytest.raises(InputError, match=rf"bad\.txt.*{says}"):
        folder.ids("bad")


def test_a_list_may_come_from_any_system(folder):
    list_path(folder, "mine").write_bytes("\ufeffa\r\n b_1.x-2 \r\nfür\r\n".encode())
    assert folder.ids("mine") == ["a", "b_1.x-2", "für"]


@pytest.mark.parametrize("name", ["pipe", "dir", "loop", "n" * 300, "nul\0"])
def test_a_list_that_is_no_file_is_named(folder, name, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dir").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(InputError, match="is a pipe" if name == "pipe" else "is a list of ids; lists there: train"):
        folder.ids(str(tmp_path / name))
