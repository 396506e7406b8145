from pathlib import Path

import pytest

from src.data.sources.voc import VOC_CLASSES, locate, voc_folder
from tests.data.lists import look_over

SAMPLE = Path("../shared/data/voc2012_sample")
pytestmark = pytest.mark.skipif(not SAMPLE.is_dir(), reason=f"{SAMPLE} is missing")


@pytest.fixture
def folder():
    return voc_folder(locate(SAMPLE))


def test_every_pair_is_readable(folder):
    ids = folder.ids("train") + folder.ids("val")
    assert len(set(ids)) == 48 + 40
    for image_id in ids:
        image, mask = folder.read_pair(image_id)
        assert image.shape == (*mask.shape, 3)
    assert len(folder.fingerprint(ids)) == 16


def test_inspection_finds_only_the_counts(folder):
    report = look_over(folder, {"train": "train", "val": "val"}, {"train": 1464, "val": 1449})
    assert report.problems == ["train: 48 images listed, 1,464 expected", "val: 40 images listed, 1,449 expected"]
    absent = [name for name, share in zip(VOC_CLASSES, report.pixel_share["val"], strict=True) if share == 0]
    assert absent == ["motorbike"]
    assert all(share.sum() == pytest.approx(1) for share in report.pixel_share.values())
