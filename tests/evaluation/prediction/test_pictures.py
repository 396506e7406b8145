"""Pictures of labels hold the labels, for any number of classes; overlays stay of a size that can be looked at."""

import io

import numpy as np
import pytest
from PIL import Image

from src.data.classes import Classes
from src.evaluation.prediction.pictures import LONGEST, frame_picture, label_picture, overlay_picture


@pytest.mark.parametrize(("count", "mode"), [(2, "P"), (255, "P"), (256, "P"), (257, "I;16"), (1000, "I;16")])
def test_a_file_gives_back_the_labels_and_the_colours(count, mode):
    classes = Classes.named([f"class {k}" for k in range(count)], background="class 0")
    labels = np.arange(count, dtype=np.int32).reshape(1, -1)
    buffer = io.BytesIO()
    label_picture(labels, classes).save(buffer, format="PNG")
    with Image.open(buffer) as image:
        assert image.mode == mode and (np.asarray(image) == labels).all()
        if mode == "P":
            assert (np.asarray(image.convert("RGB"))[0] == classes.palette).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (60, 79), (300, 500)])
def test_overlays_of_all_sizes(size):
    classes = Classes.named(["sky", "sea", "a class with a long name"])
    labels = np.zeros(size, np.uint8)
    labels[-1:] = 1
    picture = overlay_picture(np.zeros((*size, 3), np.uint8), labels, classes)
    assert 240 <= picture.width <= LONGEST and picture.height <= LONGEST + 60
    frame = frame_picture(np.zeros((*size, 3), np.uint8), labels, classes)
    assert frame.shape[0] % 2 == frame.shape[1] % 2 == 0
