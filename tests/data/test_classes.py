"""Classes, void and labels, whatever their number."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from src.core.errors import InputError
from src.data.classes import Classes, class_mapping, distinct_colours, label_type, read_classes, void_label
from src.data.files.labels import Labelling
from src.data.transforms import Augment, ready
from src.models.backbones import MEAN, STD
from src.models.inference import mapped
from src.models.losses import CrossEntropy, Dice, Focal
from src.scoring.confusion import RingCounter, confusion_matrix
from src.scoring.metrics import RADII, Stack, hits_and_unions, margins, scores

SIZES = [2, 21, 150, 255, 256, 1000]


@pytest.mark.parametrize("count", SIZES)
def test_a_mask_comes_through_reading_and_augmentation(count, tmp_path):
    labels = np.random.default_rng(0).integers(0, count, (40, 50))
    stored = labels.astype(np.uint16)
    stored[:3] = 7777  # void in the file
    Image.fromarray(stored).save(tmp_path / "a.png")
    classes = Classes.named([f"c{k}" for k in range(count)])
    mask = Labelling(classes, 7777, {}).read(tmp_path / "a.png")
    assert mask.dtype == label_type(count)
    np.testing.assert_array_equal(mask[3:], labels[3:])
    assert (mask[:3] == void_label(count)).all() and void_label(count) >= count
    still = {"flip": 0, "jitter": {}, "squash": False, "void": classes.void}
    augment = Augment(crop=64, scale=(1, 1), **still)  # larger than the image: void around it
    drawn = augment(np.zeros((40, 50, 3), np.uint8), mask, torch.Generator().manual_seed(0))["mask"]
    black = torch.zeros(1, 64, 64, 3, dtype=torch.uint8)
    batch = ready({"rgb": black, "mask": drawn[None]}, mean=MEAN, std=STD, channels_last=False)
    values, pixels = batch["mask"].unique(return_counts=True)
    expected = np.bincount(labels[3:].ravel(), minlength=count)
    found = np.bincount(values[:-1], weights=pixels[:-1], minlength=count)
    np.testing.assert_array_equal(found, expected)
    assert values[-1] == classes.void and pixels[-1] == 64 * 64 - expected.sum()
    halved = Augment(crop=20, scale=(0.5, 0.5), **still)(np.zeros((40, 50, 3), np.uint8), mask, torch.Generator())
    assert set(halved["mask"].unique().tolist()) <= {*np.unique(mask).tolist(), classes.void}


@pytest.mark.parametrize("count", SIZES)
def test_losses_and_counts_leave_void_out(count):
    random = torch.Generator().manual_seed(count)
    logits = torch.randn(2, count, 6, 9, generator=random)
    target = torch.randint(0, count, (2, 6, 9), generator=random)
    target[:, 0] = void_label(count)
    own = F.cross_entropy(logits, target.where(target < count, -100))
    assert CrossEntropy(None)(logits, target)["loss"] == pytest.approx(own.item(), rel=1e-5)
    assert Focal(0.0, None)(logits, target)["loss"] == pytest.approx(own.item(), rel=1e-4)
    assert 0 < Dice()(logits, target)["loss"] <= 1
    labels = logits.argmax(1)
    counted = confusion_matrix(labels, target, count).numpy()
    expected = np.zeros((count, count), dtype=np.int64)
    known = target < count
    np.add.at(expected, (target[known].numpy(), labels[known].numpy()), 1)
    np.testing.assert_array_equal(counted, expected)
    rings = RingCounter(target[0], count, torch.device("cpu"))({"none": labels[0]})["none"]
    assert rings.shape == (len(RADII) + 1, count, count)
    np.testing.assert_array_equal(rings.sum(0), confusion_matrix(labels[0], target[0], count).numpy())


def test_counts_are_written_block_by_block_as_they_are(monkeypatch):
    stack = Stack(["a"], (5, 5), np.int64)
    matrices = np.random.default_rng(0).integers(0, 3, (7, 5, 5))
    for matrix in matrices:
        stack.append({"a": matrix})
    monkeypatch.setattr("src.scoring.metrics._BLOCK", 50)  # two images at a time
    ((name, rows),) = stack.rows()
    assert (name, rows.shape) == ("a", (7, 5, 5)) and [len(block) for block in rows] == [2, 2, 2, 1]
    np.testing.assert_array_equal(np.concatenate([*rows]), matrices)
    hit, union = hits_and_unions(margins(matrices.sum(0)))
    assert scores(matrices).miou == pytest.approx((hit / union).mean())


def test_colours_are_distinct_and_do_not_depend_on_their_number():
    assert len(set(distinct_colours(300))) == 300 and distinct_colours(300)[:20] == distinct_colours(20)
    named = Classes.named(["a", "sky", "b"], background="sky")
    assert named.colours[1] == (0, 0, 0) and named.background == 1
    assert Classes.stored(named.plain()) == named


@pytest.mark.parametrize(
    ("content", "background", "says"),
    [
        ("road", None, "must be a list of names"),
        (["road"], None, "from 2 to 1000"),
        (["road", "road"], None, "road is there twice"),
        (["road", 3], None, "3 is not a name"),
        (["road", True], None, "true is not a name"),
        (["road", "void"], None, "void is no class"),
        (["road", "sky"], "grass", "none of data.classes"),
        ({"road": [0, 0, 0], "sky": [0, 256, 0]}, None, "data.classes.sky=.*must be a colour"),
        ({"road": [0, 0, 0], "sky": "blue"}, None, "data.classes.sky=blue: must be a colour"),
    ],
)
def test_what_is_no_list_of_classes_is_said(content, background, says):
    with pytest.raises(InputError, match=says):
        read_classes(content, background)


def test_probabilities_of_classes_that_become_one_are_added():
    probs = torch.rand(4, 3, 5).softmax(0)
    given = {"cat": "animal", "dog": "animal", "car": None}
    mapping = class_mapping(["sky", "cat", "dog", "car"], ["animal", "sky"], given, where="x")
    assert mapping == (1, 0, 0, None)
    found = mapped(probs, mapping, 2)
    kept = probs[:3].sum(0)
    torch.testing.assert_close(found, torch.stack([(probs[1] + probs[2]) / kept, probs[0] / kept]))
    with pytest.raises(InputError, match=r"map_classes\.bus: the network has no such class"):
        class_mapping(["a", "b"], ["a", "b"], {"bus": "a"}, where="x")
    with pytest.raises(InputError, match=r"map_classes\.a=c: the data has no such class"):
        class_mapping(["a", "b"], ["a", "b"], {"a": "c"}, where="x")
