"""Masks whose pixels are colours: several of them may stand for one class."""

from functools import partial

import numpy as np
import pytest
from PIL import Image

from src.core.errors import InputError
from src.data.config import labelling_of
from tests.data.test_named_sets import settled

COLOURS = {"colours": "exact", "void": [0, 0, 0]}
change = partial(settled, "folder", "x", classes={"road": [1, 1, 1], "sky": [9, 9, 9]}, val="20 %")


@pytest.mark.parametrize(
    ("mapping", "says"),
    [
        ({7: "road"}, "label_mapping.7: must be a colour .* such as \"128, 64, 128\", as data.colours is exact"),
        ({"1, 2": "road"}, "label_mapping.*1, 2.*: must be a colour"),
        ({"1, 2, 256": "road"}, r"label_mapping.1, 2, 256=\[1, 2, 256\]: must be a colour"),
        ({"1, 2, 3": "rod"}, "label_mapping.1, 2, 3=.*rod.*: must be void, a class"),
        ({"1, 2, 3": "road", "1,2,3": "sky"}, "label_mapping.1,2,3: 1, 2, 3 is there twice"),
        ({"9, 9, 9": "road"}, "label_mapping.9, 9, 9=.*road.*: is the colour of sky"),
        ({"9, 9, 9": "void"}, "label_mapping.9, 9, 9=.*void.*: is the colour of sky"),
        ({"0, 0, 0": "road"}, "label_mapping.0, 0, 0: is data.void, too"),
    ],
)  # fmt: skip
def test_a_mapping_of_colours_that_cannot_be(mapping, says):
    with pytest.raises(InputError, match=says):
        change(label_mapping=mapping, **COLOURS)


def test_further_colours_of_a_class_are_its_label(tmp_path):
    found = labelling_of(change(label_mapping={"1, 2, 3": "road", " 4,5,6": 1, "7, 7, 7": "void"}, **COLOURS))
    pixels = [[1, 1, 1], [9, 9, 9], [0, 0, 0], [1, 2, 3], [4, 5, 6], [7, 7, 7]]
    Image.fromarray(np.array([pixels], dtype=np.uint8)).save(tmp_path / "a.png")
    assert found.read(tmp_path / "a.png").tolist() == [[0, 1, 255, 0, 1, 255]]
    Image.fromarray(np.array([[*pixels, [3, 2, 1], [3, 2, 1]]], dtype=np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"a\.png has colours of no class: \[3, 2, 1\] 25\.0 %; .*data\.label_mapping"):
        found.read(tmp_path / "a.png")


def test_colours_need_masks_of_colours():
    with pytest.raises(InputError, match=r"must be a value of the masks, .*; colours need data\.colours=exact"):
        change(label_mapping={"1, 2, 3": "road"})
