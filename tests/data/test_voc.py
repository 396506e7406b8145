import hashlib
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from src.core.errors import InputError
from src.data.sources import voc
from src.data.sources.voc import VOC_CLASSES, voc_folder, voc_palette
from tests.data.lists import list_path

LISTS = Path("../shared/data/voc_lists")


@pytest.fixture
def folder(tmp_path):
    """Two ids, `a` and `b`, 6 x 4 px, in the official layout below `tmp_path`."""
    path = tmp_path / "VOCdevkit" / "VOC2012"
    for part in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (path / part).mkdir(parents=True)
    (path / "ImageSets" / "Segmentation" / "train.txt").write_text("b\n\na\n")
    (path / "ImageSets" / "Segmentation" / "val.txt").write_text("\n")
    for image_id in "ab":
        Image.new("RGB", (6, 4), (200, 10, 10)).save(path / "JPEGImages" / f"{image_id}.jpg")
        save_mask(path / "SegmentationClass" / f"{image_id}.png", [[0, 20, 255, 1, 1, 1]] * 4)
    return voc_folder(path)


def save_mask(path, labels):
    mask = Image.fromarray(np.array(labels, dtype=np.uint8))
    mask.putpalette(voc_palette().tobytes())
    mask.save(path)


def test_palette_has_the_published_colours():
    palette = voc_palette()
    assert palette.shape == (256, 3)
    assert palette.dtype == np.uint8
    published = {0: (0, 0, 0), 1: (128, 0, 0), 15: (192, 128, 128), 20: (0, 64, 128), 255: (224, 224, 192)}
    assert {label: tuple(map(int, palette[label])) for label in published} == published
    assert len(np.unique(palette, axis=0)) == 256


def test_classes():
    assert len(VOC_CLASSES) == 21
    assert VOC_CLASSES[0] == "background"
    assert list(VOC_CLASSES[1:]) == sorted(VOC_CLASSES[1:])


def test_reads_a_list_by_name_and_by_path(folder, tmp_path):
    assert folder.ids("train") == ["b", "a"]
    (tmp_path / "my.txt").write_text("a\n")
    assert folder.ids(tmp_path / "my.txt") == folder.ids(str(tmp_path / "my.txt")) == ["a"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "lists there: train, val"),
        ("\n \n", "names no image"),
        ("a\nb\na\n", "line 3: the same id as in line 1"),
        ("a.jpg a.png", "bare"),
    ],
)
def test_refuses_a_bad_list(folder, text, message):
    if text is not None:
        list_path(folder, "bad").write_text(text)
    with pytest.raises(InputError, match=rf"bad\.txt.*{message}"):
        folder.ids("bad")


def test_reads_image_and_mask(folder):
    image, mask = folder.read_pair("a")
    assert (image.shape, image.dtype) == ((4, 6, 3), np.uint8)
    assert image.flags.writeable and mask.flags.writeable  # else torch.from_numpy warns
    assert np.abs(image.astype(int) - [200, 10, 10]).max() < 8  # JPEG
    np.testing.assert_array_equal(mask, np.array([[0, 20, 255, 1, 1, 1]] * 4, dtype=np.uint8))
    Image.fromarray(mask).save(folder.mask_path("a"))
    np.testing.assert_array_equal(folder.read_mask("a"), mask)  # mode L: the same values without a palette


def test_mask_folders_are_searched_in_order(folder):
    (folder.path / "SegmentationClassAug").mkdir()
    for image_id in "ac":
        save_mask(folder.path / "SegmentationClassAug" / f"{image_id}.png", [[7]])
    assert folder.mask_path("a").parent.name == "SegmentationClass"
    assert folder.mask_path("c").parent.name == "SegmentationClassAug"
    assert folder.mask_path("nowhere").parent.name == "SegmentationClass"


@pytest.mark.parametrize("tolerant", [False, True])
def test_refuses_a_cut_off_jpeg(folder, monkeypatch, tolerant):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", tolerant)
    path = folder.image_path("a")
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path)
    whole = path.read_bytes()
    assert folder.read_image("a").shape == (64, 64, 3)
    for size in (0, len(whole) // 2, len(whole) - 2):
        path.write_bytes(whole[:size])
        with pytest.raises(InputError, match=r"a\.jpg .*anew"):
            folder.read_image("a")


def test_refuses_missing_files(folder):
    with pytest.raises(InputError, match=r"JPEGImages/c\.jpg is missing"):
        folder.read_image("c")
    with pytest.raises(InputError, match=r"SegmentationClass/c\.png is missing"):
        folder.read_mask("c")


def test_refuses_masks_that_are_not_vocs(folder):
    save_mask(folder.mask_path("a"), [[0, 57, 99]])
    with pytest.raises(InputError, match=r"a\.png has labels 57, 99, allowed are 0\.\.20 and 255"):
        folder.read_mask("a")
    Image.new("RGB", (6, 4)).save(folder.mask_path("a"))
    with pytest.raises(InputError, match=r"a\.png has colours, not labels: .*data.colours=exact"):
        folder.read_mask("a")
    save_mask(folder.mask_path("a"), [[0, 1]])
    with pytest.raises(InputError, match=r"a\.png is 2 x 1 px, but its image is 6 x 4 px"):
        folder.read_pair("a")


def test_fingerprint_follows_ids_and_sizes(folder):
    before = folder.fingerprint(["a", "b"])
    assert before == folder.fingerprint(["a", "b"]) != folder.fingerprint(["b", "a"])
    assert len(before) == 16
    with folder.image_path("a").open("ab") as file:
        file.write(b"\0")
    assert folder.fingerprint(["a", "b"]) != before
    with pytest.raises(InputError, match=r"c\.jpg is missing"):
        folder.fingerprint(["c"])


def test_locates_the_folder_from_three_roots(folder, tmp_path):
    assert voc.locate(tmp_path) == voc.locate(tmp_path / "VOCdevkit") == voc.locate(folder.path) == folder.path
    assert voc.locate(tmp_path / "elsewhere") is None


def test_prepare_prefers_the_local_copy(folder, tmp_path):
    assert voc.prepare(tmp_path, url="http://nowhere.invalid/x.tar", md5="", download=True) == folder.path


def test_prepare_unpacks_an_archive_that_lies_there(folder, tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    with tarfile.open(root / "voc.tar", "w") as tar:
        tar.add(tmp_path / "VOCdevkit", "VOCdevkit")
    md5 = hashlib.md5((root / "voc.tar").read_bytes()).hexdigest()
    url = "http://nowhere.invalid/voc.tar"
    with pytest.raises(InputError, match=r"voc\.tar has MD5"):
        voc.prepare(root, url=url, md5="0" * 32, download=False)
    assert (root / "voc.tar").is_file()  # a file of the user's is never deleted
    path = voc.prepare(root, url=url, md5=md5, download=False)
    assert voc_folder(path).read_mask("a").shape == (4, 6)


def test_prepare_downloads_and_unpacks(folder, tmp_path):
    with tarfile.open(tmp_path / "voc.tar", "w") as tar:
        tar.add(tmp_path / "VOCdevkit", "VOCdevkit")
    md5 = hashlib.md5((tmp_path / "voc.tar").read_bytes()).hexdigest()
    path = voc.prepare(tmp_path / "new", url=(tmp_path / "voc.tar").as_uri(), md5=md5, download=True)
    assert path == tmp_path / "new" / "VOCdevkit" / "VOC2012"
    assert voc_folder(path).ids("train") == ["b", "a"]
    assert sorted(entry.name for entry in (tmp_path / "new").iterdir()) == [".lock", "VOCdevkit", "voc.tar"]


def test_prepare_without_data_or_download_says_what_to_do(tmp_path):
    with pytest.raises(InputError, match=rf"put voc\.tar into {tmp_path} by hand .*data=shapes"):
        voc.prepare(tmp_path, url="http://nowhere.invalid/voc.tar", md5="", download=False)


@pytest.mark.skipif(not LISTS.is_dir(), reason=f"{LISTS} is missing")
def test_official_lists(folder):
    ids = {name: folder.ids(LISTS / f"{name}.txt") for name in ("train", "val", "train_aug")}
    assert {name: len(found) for name, found in ids.items()} == {"train": 1464, "val": 1449, "train_aug": 10582}
