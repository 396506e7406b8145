from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from scipy import ndimage

from src.core.errors import InputError
from src.data.sources.shapes.dataset import STAMP, prepare
from src.data.sources.shapes.layout import plan
from src.data.sources.shapes.render import make_sample, void_border
from src.data.sources.shapes.silhouettes import SILHOUETTES
from src.data.sources.voc import VOC_CLASSES, voc_palette

SMALL = {"seed": 0, "train": 3, "val": 2, "height": 96, "width": 128}
CONF = yaml.safe_load((Path(__file__).parents[2] / "conf/data/shapes.yaml").read_text())["prepare"]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_writes_the_voc_layout(tmp_path: Path) -> None:
    folder = prepare(tmp_path, **SMALL)
    assert folder == tmp_path / "VOCdevkit" / "VOC2012"
    lists = {name: (folder / f"ImageSets/Segmentation/{name}.txt").read_text().split() for name in ("train", "val")}
    assert {name: len(ids) for name, ids in lists.items()} == {"train": 3, "val": 2}
    assert not set(lists["train"]) & set(lists["val"])
    for image_id in lists["train"] + lists["val"]:
        with Image.open(folder / f"SegmentationClass/{image_id}.png") as mask:
            assert mask.mode == "P"
            assert mask.getpalette() == voc_palette().ravel().tolist()
            assert set(np.unique(np.asarray(mask))) <= {*range(21), 255}
            size = mask.size
        with Image.open(folder / f"JPEGImages/{image_id}.jpg") as image:
            assert (image.mode, image.size) == ("RGB", size)
    assert sorted(path.name for path in folder.parent.iterdir()) == [".lock", "VOC2012"]


def test_same_seed_same_bytes_and_images_do_not_depend_on_their_number(tmp_path: Path) -> None:
    first = contents(prepare(tmp_path / "a", **SMALL))
    assert contents(prepare(tmp_path / "b", **SMALL)) == first
    other = contents(prepare(tmp_path / "c", **{**SMALL, "seed": 1}))
    more = contents(prepare(tmp_path / "d", **{**SMALL, "train": 4}))
    images = [name for name in first if name.endswith((".jpg", ".png"))]
    assert all(other[name] != first[name] and more[name] == first[name] for name in images)


def test_a_stamped_folder_is_kept_or_replaced_and_a_foreign_one_refused(tmp_path: Path) -> None:
    folder = prepare(tmp_path, **SMALL)
    before = folder.stat().st_ino
    assert prepare(tmp_path, **SMALL).stat().st_ino == before
    assert prepare(tmp_path, **{**SMALL, "train": 1}).stat().st_ino != before
    assert len(list((folder / "JPEGImages").iterdir())) == 3
    (folder / STAMP).unlink()
    kept = contents(folder)
    with pytest.raises(InputError, match="VOC2012 holds data"):
        prepare(tmp_path, **SMALL)
    assert contents(folder) == kept


def test_bad_parameters_and_an_unusable_root_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"prepare\.val=0"):
        prepare(tmp_path, **{**SMALL, "val": 0})
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file is a file, but a folder is needed"):
        prepare(tmp_path / "file", **SMALL)


def test_every_class_is_drawn_and_in_both_lists_of_the_default_set() -> None:
    assert set(VOC_CLASSES[1:]) == set(SILHOUETTES)
    size = {"height": CONF["height"], "width": CONF["width"]}
    seen = [
        Counter(thing.label for thing in plan(CONF["seed"], index, **size).things)
        for index in range(CONF["val"] + CONF["train"])
    ]
    val, train = sum(seen[: CONF["val"]], Counter()), sum(seen[CONF["val"] :], Counter())
    assert min(val[label] for label in range(1, 21)) >= 2
    assert min(train[label] for label in range(1, 21)) >= 12
    person = VOC_CLASSES.index("person")
    assert train[person] == max(train[label] for label in range(1, 21))


@pytest.mark.parametrize("index", range(6))
def test_void_lies_along_objects_and_never_deep_in_anything(index: int) -> None:
    _, mask = make_sample(0, index, height=128, width=168)
    void, near = mask == 255, np.ones((5, 5), dtype=bool)
    classes = ndimage.binary_dilation((mask > 0) & ~void, near)
    assert 0.005 < void.mean() < 0.3
    assert (classes[void]).all()  # an object lies within two pixels
    assert not ndimage.binary_erosion(void, near).any()


def test_void_border_is_one_pixel_each_side_and_spares_thin_parts() -> None:
    objects = np.zeros((12, 20), dtype=np.uint8)
    objects[:, :6] = 1  # reaches the frame
    objects[5:7, 10:20] = 2  # two pixels thin
    void = void_border(objects)
    expected = np.zeros_like(void)
    expected[:, 5:7] = True
    expected[4:8, 9:] = True
    expected[5:7, 10:] = False
    assert np.array_equal(void, expected)


def test_a_bicycle_has_rims_and_holes() -> None:
    bicycle = VOC_CLASSES.index("bicycle")
    index = next(k for k in range(60) if bicycle in [t.label for t in plan(0, k, height=128, width=168).things])
    _, mask = make_sample(0, index, height=128, width=168)
    frame = mask == bicycle
    holes = ndimage.binary_fill_holes(frame) & (mask == 0)
    assert frame.sum() > 100
    assert holes.sum() > 50
