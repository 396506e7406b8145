import io

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from src.data.sources.voc import voc_folder
from tests.data.lists import list_path, look_over

LISTS = {"train": "train", "val": "val"}


@pytest.fixture
def folder(tmp_path):
    """12 train images whose masks are half aeroplane, half void, and 2 val images that are all background."""
    for part in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (tmp_path / part).mkdir(parents=True)
    folder = voc_folder(tmp_path)
    train, val = [f"t{i:02d}" for i in range(12)], ["v0", "v1"]
    list_path(folder, "train").write_text("\n".join(train))
    list_path(folder, "val").write_text("\n".join(val))
    for number, image_id in enumerate(train + val):
        Image.new("RGB", (4, 2), (18 * number,) * 3).save(folder.image_path(image_id))
        row = [1, 1, 255, 255] if image_id in train else [0] * 4
        save(folder.mask_path(image_id), [row, row])
    return folder


def save(path, labels):
    Image.fromarray(np.array(labels, dtype=np.uint8)).save(path)


def printed(report, width):
    console = Console(width=width, file=io.StringIO())
    console.print(report.render())
    return console.file.getvalue()


def test_counts_and_shares(folder):
    report = look_over(folder, LISTS, {"train": 12, "val": None})
    assert report.problems == []
    assert {name: len(ids) for name, ids in report.splits.items()} == {"train": 12, "val": 2}
    assert report.pixel_share["train"].tolist() == [0, 1] + [0] * 19
    assert report.pixel_share["val"].tolist() == [1] + [0] * 20
    assert report.void_share == {"train": 0.5, "val": 0}


def test_every_kind_of_problem_is_named(folder):
    folder.image_path("t00").unlink()
    folder.mask_path("t01").unlink()
    folder.image_path("t02").write_bytes(folder.image_path("t02").read_bytes()[:-2])
    save(folder.mask_path("t03"), [[0]])
    save(folder.mask_path("t04"), [[57, 0, 0, 0]] * 2)
    save(folder.mask_path("t05"), np.zeros((2, 4, 3)))
    list_path(folder, "val").write_text("v0\nv1\nt06\n")
    assert sorted(look_over(folder, LISTS, {"train": 1464}).problems) == [
        "train and val: 1 image (t06) in both",
        "train: 1 file (JPEGImages/t02.jpg) unreadable or cut off",
        "train: 1 file (SegmentationClass/t03.png) of another size than the image",
        "train: 1 file (SegmentationClass/t04.png (57)) with other labels than 0..20 and 255; say what they are in the "
        "config of the data, `label_mapping: {57: void}`, and all other values, too",
        "train: 1 file (SegmentationClass/t05.png (1 colours)) whose pixels are colours; the first has [0, 0, 0] "
        "100.0 %; if these are the colours in data.classes, add data.colours=exact",
        "train: 12 images listed, 1,464 expected",
        "train: 2 files (JPEGImages/t00.jpg, SegmentationClass/t01.png) missing",
    ]


def test_ten_examples_are_shown_and_the_rest_counted(folder):
    for image_id in folder.ids("train"):
        folder.mask_path(image_id).unlink()
    [problem] = look_over(folder, LISTS).problems
    assert "12 files" in problem
    assert problem.count(".png") == 10
    assert "2 more" in problem


def test_a_missing_list_is_a_problem_and_none_is_not(folder):
    report = look_over(folder, {"train": "nowhere", "val": None})
    assert report.splits == {"train": []}
    assert "nowhere.txt" in report.problems[0]
    assert printed(report, 80)


@pytest.mark.parametrize("width", [80, 100])
def test_report_fits_a_terminal(folder, width):
    folder.mask_path("t01").write_bytes(b"[red]")
    text = printed(look_over(folder, LISTS), width)
    assert "tvmonitor" in text
    assert "100.00 %" in text
    assert "✗ train: 1 file (SegmentationClass/t01.png) unreadable" in text
    assert max(map(len, text.splitlines())) <= width
