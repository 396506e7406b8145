from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from PIL import Image
from scipy.io import savemat
from scipy.sparse import csc_matrix

from src.core.errors import InputError
from src.data.sources import sbd, voc
from src.data.sources.table import source_of
from src.data.sources.voc import voc_folder, voc_palette
from tests.data.lists import list_path

LISTS = Path("../shared/data/voc_lists")
ARCHIVES = {
    "url": "http://nowhere.invalid/voc.tar",
    "sbd_url": "http://nowhere.invalid/sbd.tgz",
    "md5": "",
    "sbd_md5": "",
}


def save_mat(path, labels):
    """As SBD stores it: one struct with the sparse boundaries of 20 classes beside the labels."""
    boundaries = np.empty((20, 1), dtype=object)
    for label in range(20):
        boundaries[label, 0] = csc_matrix(labels == label + 1, dtype=float)
    present = np.unique(labels[labels > 0])
    savemat(path, {"GTcls": {"Boundaries": boundaries, "Segmentation": labels, "CategoriesPresent": present}})


@pytest.fixture
def root(tmp_path):
    """VOC: train `both`, `voc`; val `val`. SBD: train `both`, `new1`; val `val`, `new2`. Labels: VOC 1, SBD 2."""
    path = tmp_path / "VOCdevkit" / "VOC2012"
    data = tmp_path / "benchmark_RELEASE" / "dataset"
    for part in (path / "JPEGImages", path / "SegmentationClass", path / "ImageSets" / "Segmentation", data / "cls"):
        part.mkdir(parents=True)
    for image_id in ("both", "voc", "val", "new1", "new2"):
        Image.new("RGB", (6, 4)).save(path / "JPEGImages" / f"{image_id}.jpg")
    for image_id in ("both", "voc", "val"):
        Image.fromarray(np.full((4, 6), 1, dtype=np.uint8)).save(path / "SegmentationClass" / f"{image_id}.png")
    for image_id in ("both", "val", "new1", "new2"):
        save_mat(data / "cls" / f"{image_id}.mat", np.full((4, 6), 2, dtype=np.uint8))
    (path / "ImageSets" / "Segmentation" / "train.txt").write_text("both\nvoc\n")
    (path / "ImageSets" / "Segmentation" / "val.txt").write_text("val\n")
    (data / "train.txt").write_text("both\nnew1\n")
    (data / "val.txt").write_text("val\nnew2\n")
    return tmp_path


def prepare(root, *, expected=4):
    return voc_folder(sbd.prepare(root, **ARCHIVES, download=False, expected=expected))


def leftovers(root):
    names = {path.name for path in (root / "VOCdevkit" / "VOC2012").iterdir()}
    return names - {"JPEGImages", "SegmentationClass", "ImageSets"}


def test_adds_the_masks_and_the_list(root):
    folder = prepare(root)
    assert folder.ids("train_aug") == ["both", "new1", "new2", "voc"]
    assert leftovers(root) == {"SegmentationClassAug"}
    aug = voc_folder(folder.path, masks=("SegmentationClassAug",))
    labels = {image_id: np.unique(aug.read_pair(image_id)[1]).tolist() for image_id in folder.ids("train_aug")}
    assert labels == {"both": [1], "voc": [1], "new1": [2], "new2": [2]}  # VOC's own mask wins
    with Image.open(aug.mask_path("new1")) as mask:
        assert mask.mode == "P"
        assert tuple(mask.convert("RGB").getpixel((0, 0))) == tuple(voc_palette()[2])
    np.testing.assert_array_equal(folder.read_mask("new1"), aug.read_mask("new1"))


def test_a_second_call_only_checks(root):
    folder = prepare(root)
    (root / "benchmark_RELEASE").rename(root / "gone")
    assert prepare(root) == folder
    list_path(folder, "train_aug").write_text("both\nval\nnew1\nnew2\n")
    with pytest.raises(InputError, match=r"train_aug\.txt has images of VOC's val in train_aug: 1, first val"):
        prepare(root)


def test_goes_on_where_only_the_list_is_missing(root):
    folder = prepare(root)
    list_path(folder, "train_aug").unlink()
    assert len(prepare(root).ids("train_aug")) == 4


def test_wrong_number_stops_before_anything_is_written(root):
    with pytest.raises(InputError, match=r"gives 4 ids of train_aug, expected 10,582"):
        prepare(root, expected=10582)
    assert not leftovers(root)


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda mat, jpg: mat.unlink(), r"new2\.mat is missing"),
        (lambda mat, jpg: mat.write_bytes(mat.read_bytes()[:300]), r"new2\.mat has no readable"),
        (lambda mat, jpg: savemat(mat, {"other": 1}), r"new2\.mat has no readable"),
        (lambda mat, jpg: save_mat(mat, np.full((4, 6), 21, dtype=np.uint8)), r"new2\.mat has labels 21"),
        (lambda mat, jpg: save_mat(mat, np.zeros((6, 4), dtype=np.uint8)), r"mat is 4 x 6 px, but its image is 6 x 4"),
        (lambda mat, jpg: jpg.unlink(), r"images of train_aug are missing: 1, first .*new2\.jpg"),
    ],
)
def test_a_bad_file_leaves_nothing_half_done(root, break_it, message):
    images = root / "VOCdevkit" / "VOC2012" / "JPEGImages"
    break_it(root / "benchmark_RELEASE" / "dataset" / "cls" / "new2.mat", images / "new2.jpg")
    with pytest.raises(InputError, match=message):
        prepare(root)
    assert not leftovers(root)


@pytest.mark.skipif(not LISTS.is_dir(), reason=f"{LISTS} is missing")
def test_official_lists_give_10582():
    train, val, aug = ((LISTS / f"{name}.txt").read_text().split() for name in ("train", "val", "train_aug"))
    # SBD covers VOC's train and val in part and all else of train_aug; its split is not VOC's.
    assert sbd.trainaug_ids(set(aug) - set(train[::2]) | set(val[::3]), train, val) == sorted(aug)


@pytest.mark.parametrize(("name", "train"), [("voc2012", 1464), ("voc2012_aug", 10582)])
def test_configs(name, train):
    with initialize_config_dir(str(Path("conf").resolve()), version_base="1.3"):
        data = compose(f"data/{name}").data
    assert (data.name, data.expected) == (name, {"train": train, "val": 1449})
    prepare = source_of(data)
    assert prepare.func is {"voc2012": voc.prepare, "voc2012_aug": sbd.prepare}[name]
    assert prepare.keywords.get("expected", 1464) == train
    with pytest.raises(InputError, match=r"VOCtrainval_11-May-2012\.tar"):
        prepare(root=Path("no/such/folder"), download=False)
