"""Which files of a folder belong together, which are trained on, and what is said where this is not clear."""

import io

import numpy as np
import pytest
import yaml
from omegaconf import OmegaConf
from PIL import Image

from src.core.compose import completed
from src.core.errors import InputError
from src.data.config import check_data, folder_of, splits_of
from src.data.files.patterns import Patterns, check_pattern
from src.data.files.splits import place
from src.data.inspection.proposal import propose
from src.data.inspection.report import inspect
from src.runs.config_hash import training_identity
from tests.conftest import config
from tests.data.lists import look_over

PAIRS = {"images": "images/**/*.png", "masks": "masks/**/*.png", "classes": ["a", "b"]}


def touched(root, *names, size=(4, 3), value=0):
    """Pictures of one value below a folder."""
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        kind = "RGB" if name.startswith("images") else "L"
        Image.new(kind, size, (number, 0, 0) if kind == "RGB" else value).save(root / name)


def data(root, **changes):
    """The group `data` of a file with these keys."""
    found = OmegaConf.create(completed("data", {**PAIRS, "val": "20 %", **changes}, root / "my.yaml"))
    check_data(found)
    return found


@pytest.mark.parametrize(
    ("pattern", "files", "ids"),
    [
        ("a/*.jpg", ["a/x.jpg", "a/y.png", "a/b/z.jpg", "a/.hidden.jpg"], ["x"]),
        ("a/**/*.jpg", ["a/x.jpg", "a/b/c/z.jpg"], ["b__c__z", "x"]),
        ("a/*", ["a/x.JPG", "a/y.tiff", "a/notes.txt"], ["x", "y"]),
        ("*/*_left.png", ["rome/001_left.png", "rome/001_right.png"], ["rome__001"]),
        ("im?_*.bmp", ["im1_a.bmp", "im12_a.bmp"], ["1__a"]),
        ("a/**/*", ["a/b c/ü 1.webp"], ["b c__ü 1"]),
    ],
)
def test_the_wildcards_stand_for_the_id(pattern, files, ids, tmp_path):
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = Patterns(tmp_path, (pattern,), "data.images")
    assert list(found.found) == ids
    assert all(found.path(image_id).is_file() for image_id in ids)


def test_the_first_pattern_counts_and_links_in_a_circle_end(tmp_path):
    touched(tmp_path, "own/x.png", "others/x.png", "others/y.png")
    (tmp_path / "own" / "again").symlink_to(tmp_path / "own")
    for patterns in (("own/*.png", "others/*.png"), ("own/**/*.png", "others/**/*.png")):
        found = Patterns(tmp_path, patterns, "data.masks")
        assert found.path("x") == tmp_path / "own/x.png" and found.path("y") == tmp_path / "others/y.png"
    touched(tmp_path, "own/x.bmp")
    with pytest.raises(InputError, match=r"x.bmp and .*x.png have the same id x; rename one"):
        Patterns(tmp_path, ("own/*",), "data.masks").found  # noqa: B018


@pytest.mark.parametrize("pattern", ["/etc/*.png", "../*.png", "a/x.png", "a//*.png", "a/**.png", "a/**", "~/*.png"])
def test_a_pattern_stays_below_the_root_and_names_files(pattern):
    with pytest.raises(InputError, match=r"data\.images="):
        check_pattern("data.images", pattern)


def test_what_has_no_partner_is_named_or_left_out(tmp_path):
    touched(tmp_path, *(f"images/{k}.png" for k in "abcd"), *(f"masks/{k}.png" for k in "bcdef"))
    config = data(tmp_path)
    with pytest.raises(InputError, match=r"1 image without a mask \(a\) and 2 masks without an image \(e, f\)"):
        folder_of(config, tmp_path).pairs()
    config.unpaired = "ignore"
    assert folder_of(config, tmp_path).pairs() == ["b", "c", "d"]
    config.images = "pictures/*.png"
    with pytest.raises(InputError, match=r"data\.images=pictures/\*\.png: there is no folder"):
        folder_of(config, tmp_path).pairs()


@pytest.mark.parametrize(
    ("rules", "train", "val"),
    [
        ({"val": "v*"}, ["t1", "t2"], ["v1", "v2"]),
        ({"val": ["v1"], "train": ["t*"]}, ["t1", "t2"], ["v1"]),
        ({"val_list": "lists/val.txt", "val": None}, ["t1", "t2", "v1"], ["v2"]),
        ({"val": "v*", "val_limit": 1, "train_limit": 1}, ["t1"], ["v1"]),
    ],
)
def test_splits_by_ids_patterns_and_lists(rules, train, val, tmp_path):
    touched(tmp_path, *(f"{kind}/{k}.png" for kind in ("images", "masks") for k in ("t1", "t2", "v1", "v2")))
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists/val.txt").write_text("v2\n")
    splits = splits_of(data(tmp_path, **rules), tmp_path, {})
    assert (splits.ids("train"), splits.ids("val")) == (train, val)


def test_a_share_is_a_part_of_the_training_list(tmp_path):
    names = [f"p{k}" for k in range(40)]
    touched(tmp_path, *(f"{kind}/{k}.png" for kind in ("images", "masks") for k in names))
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists/train.txt").write_text("\n".join(names[:30]))
    splits = splits_of(data(tmp_path, val="50 %", train_list="lists/train.txt"), tmp_path, {})
    train, val = splits.ids("train"), splits.ids("val")
    assert sorted(train + val) == sorted(names[:30]) and train and val
    assert val == [name for name in names[:30] if place(name) < 0.5]
    (tmp_path / "lists/train.txt").write_text("\n".join(train))  # what this draw has left can be drawn from again
    again = splits_of(data(tmp_path, val="50 %", train_list="lists/train.txt"), tmp_path, {})
    assert again.ids("train") and again.ids("val") and sorted(again.ids("train") + again.ids("val")) == sorted(train)


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        ({"val": "x*"}, r"data\.val: 'x\*' fits no id; there are p1_a, p1_b, p2_a, p2_b"),
        ({"val": "p*"}, "train gets none"),
        ({"val": "p1*", "train": "p*_a"}, r"1 images in common: p1_a"),
        ({"val": "*_a", "group": "(p.)_"}, r"both have images of the groups p1, p2"),
        ({"val": "p1*", "group": "q"}, r"data\.group=q: does not fit the id p2_a"),
        ({"val": "0.001 %"}, "of 4 images val gets none"),
    ],
)
def test_splits_that_cannot_be_are_told(rules, says, tmp_path):
    touched(tmp_path, *(f"{kind}/{k}.png" for kind in ("images", "masks") for k in ("p1_a", "p1_b", "p2_a", "p2_b")))
    with pytest.raises(InputError, match=says):
        splits_of(data(tmp_path, **rules), tmp_path, {}).ids("train")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"val": None}, r"data\.val: is missing"),
        ({"val": "120 %"}, "must be a share between 0 % and 100 %"),
        ({"train": "80 %"}, r"a share is drawn for data\.val"),
        ({"train": ["a"], "train_list": "x"}, r"data\.train and data\.train_list: give one"),
        ({"group": "("}, "is no regular expression"),
        ({"colours": "exact"}, r"data\.classes must give the colours"),
        ({"colours": "nearly"}, "not one of exact, or null"),
        ({"void": 1}, r"data\.void=1: is the label of b, too"),
        ({"void": [1, 2, 3]}, "must be a value, as masks hold values, or null"),
        ({"void": 70000}, r"data\.void=70000: must be a whole number from 0 to 65535"),
        ({"label_mapping": {"x": "a"}}, r"data\.label_mapping\.x: must be a value"),
        ({"label_mapping": {3: "c"}}, r"data\.label_mapping\.3=c: must be void, a class"),
        ({"label_mapping": {255: "a"}}, r"is data\.void, too"),
        ({"white": 200}, r"data\.white=200: must be a whole number from 256 to 65535"),
        ({"images": "photos"}, "needs a wildcard"),
        ({"unpaired": "skip"}, "not one of error, ignore"),
        ({"expcted": 3}, "there is no such key"),
    ],
)
def test_a_config_that_cannot_be_is_told_without_looking_at_the_disk(changes, says, tmp_path):
    with pytest.raises(InputError, match=says):
        data(tmp_path / "nowhere", **changes)


@pytest.mark.parametrize(
    ("values", "classes", "says"),
    [
        ([0, 255], ["a", "b"], r"`label_mapping: {0: a, 255: b}` and `void: null`"),
        ([1, 2], ["a", "b"], r"if the first class has the value 1, .*`label_mapping: {1: a, 2: b}`"),
        ([0, 9], ["a", "b"], r"labels 9, allowed are 0\.\.1; .*`label_mapping: {9: void}`, and all other values, too"),
    ],
)
def test_values_that_stand_for_nothing_get_a_guess(values, classes, says, tmp_path):
    touched(tmp_path, "images/x.png", "masks/x.png", size=(2, 1))
    Image.fromarray(np.array([values], dtype=np.uint8)).save(tmp_path / "masks/x.png")
    folder = folder_of(data(tmp_path, classes=classes, void=None), tmp_path)
    with pytest.raises(InputError, match=says):
        folder.read_mask("x")


def test_masks_of_0_and_255_are_not_taken_for_void_in_silence(tmp_path):
    touched(tmp_path, "images/x.png", "masks/x.png", size=(2, 1))
    Image.fromarray(np.array([[0, 255]], dtype=np.uint8)).save(tmp_path / "masks/x.png")
    (tmp_path / "train.txt").write_text("x\n")
    folder = folder_of(data(tmp_path), tmp_path)
    (problem,) = inspect(folder, {"train": lambda: ["x"]}).problems
    assert problem == (
        "1 class (b) of data.classes never occurs; if 255 is the second class: 'data.label_mapping={0: a, 255: b}' and "
        "data.void=null"
    )
    followed = folder_of(data(tmp_path, label_mapping={0: "a", 255: "b"}, void=None), tmp_path)
    assert followed.read_mask("x").tolist() == [[0, 1]]


def test_the_colours_of_a_mask_are_listed_with_a_line_to_paste(tmp_path):
    touched(tmp_path, "images/x.png", "masks/x.png", size=(4, 1))
    Image.fromarray(np.array([[[0, 0, 0], [0, 0, 0], [0, 0, 0], [9, 8, 7]]], dtype=np.uint8)).save(
        tmp_path / "masks/x.png"
    )
    with pytest.raises(InputError) as raised:
        folder_of(data(tmp_path), tmp_path).read_mask("x")
    assert "[0, 0, 0] 75.0 %, [9, 8, 7] 25.0 %" in str(raised.value)
    assert "`classes: {class0: [0, 0, 0], class1: [9, 8, 7]}`" in str(raised.value)
    config = data(tmp_path, classes={"class0": [0, 0, 0], "class1": [9, 8, 7]}, colours="exact", void=None)
    assert folder_of(config, tmp_path).read_mask("x").tolist() == [[0, 0, 0, 1]]
    config = data(tmp_path, classes={"class0": [0, 0, 0], "other": [1, 1, 1]}, colours="exact", void=[9, 8, 7])
    assert folder_of(config, tmp_path).read_mask("x").tolist() == [[0, 0, 0, 255]]
    config.void = None
    with pytest.raises(InputError, match=r"colours of no class: \[9, 8, 7\] 25.0 %"):
        folder_of(config, tmp_path).read_mask("x")


def test_the_check_sees_twins_and_a_flag_that_turns_a_picture(tmp_path):
    touched(tmp_path, "images/x.png", "images/y.png", "masks/x.png", "masks/y.png", "masks/z.png")
    Image.open(tmp_path / "images/x.png").save(tmp_path / "images/y.png", compress_level=0)
    folder = folder_of(data(tmp_path, images=["images/*.png", "images/*.jpg"]), tmp_path)
    exif = Image.Exif()
    exif[0x112] = 6
    file = io.BytesIO()
    Image.new("RGB", (3, 4), (200, 0, 0)).save(file, "JPEG", exif=exif)
    (tmp_path / "images/z.jpg").write_bytes(file.getvalue())
    for name, ids in (("train", "x\nz\n"), ("val", "y\n")):
        (tmp_path / f"{name}.txt").write_text(ids)
    found = look_over(folder, {name: str(tmp_path / f"{name}.txt") for name in ("train", "val")}).problems
    assert found == [
        "train: 1 file (masks/z.png) drawn on a picture that an EXIF flag turns",
        "train and val: 1 pair (x = y) of images with the same pixels",
    ]


@pytest.mark.parametrize(
    ("palettes", "expected"),
    [
        ([[0, 0, 0, 255, 0, 0]] * 2, {"background": [0, 0, 0], "class1": [255, 0, 0]}),
        (
            [[0, 0, 0, 255, 0, 0], [0, 0, 0, 0, 255, 0]],
            {"background": [0, 0, 0], "class1": [255, 0, 0], "class2": [0, 255, 0]},
        ),
    ],
)
def test_palettes_that_contradict_each_other_make_colours_count(palettes, expected, tmp_path):
    touched(tmp_path, "images/x.png", "images/y.png")
    (tmp_path / "masks").mkdir()
    for name, palette in zip("xy", palettes, strict=True):
        mask = Image.fromarray(np.array([[0, 0, 1, 1]] * 3, dtype=np.uint8))
        mask.putpalette(palette)
        mask.save(tmp_path / f"masks/{name}.png")
    found = yaml.safe_load(propose(tmp_path / "images", tmp_path / "masks", tmp_path, "x"))
    assert found["classes"] == expected and ("colours" in found) == (len(expected) == 3)


@pytest.mark.parametrize(
    ("values", "mapping", "void"),
    [
        ([0, 1, 255], None, 255),
        ([1, 2, 255], {1: "class1", 2: "class2"}, 255),
        ([0, 128, 255], {0: "background", 128: "class128", 255: "class255"}, None),
        ([0, 255], {0: "background", 255: "class255"}, None),
        ([0, 8, 15, 255], {0: "background", 8: "class8", 15: "class15"}, 255),  # some of VOC's
    ],
)
def test_255_is_void_only_where_it_is_not_one_more_label(values, mapping, void, tmp_path):
    touched(tmp_path, "images/x.png", "masks/x.png", size=(len(values), 1))
    Image.fromarray(np.array([values], dtype=np.uint8)).save(tmp_path / "masks/x.png")
    found = yaml.safe_load(propose(tmp_path / "images", tmp_path / "masks", tmp_path, "x"))
    assert found.get("label_mapping") == mapping and found["void"] == void


def test_the_order_of_classes_with_colours_is_part_of_a_run():
    first, second = config("data=shapes"), config("data=shapes")
    names = list(second.data.classes)
    second.data.classes = {name: second.data.classes[name] for name in [*names[::-1]]}
    assert training_identity(first) != training_identity(second)
    second.data.classes = {name: [k, k, k] for k, name in enumerate(names)}  # other colours of pictures alone
    assert training_identity(first) == training_identity(second)


def test_an_expression_that_could_take_for_ever_is_refused(tmp_path):
    for expression in (r"(\w+)+!", r"(a|b)*c", ".*.*.*.*.*.*x"):
        with pytest.raises(InputError, match=r"data\.group=.*could take for ever"):
            data(tmp_path, group=expression)
    with pytest.raises(InputError, match="too many wildcards"):
        data(tmp_path, images="images/" + "*a" * 25 + ".png")


def test_a_proposal_refuses_masks_of_fractions_and_walks_in_no_circle(tmp_path):
    touched(tmp_path, "images/x.png", "masks/x.png")
    Image.fromarray(np.array([[0, 0, 1, 1]] * 3, dtype=np.uint8)).save(tmp_path / "masks/x.png")
    for name in ("a", "b"):
        (tmp_path / "images" / name).symlink_to(tmp_path / "images")
    assert yaml.safe_load(propose(tmp_path / "images", tmp_path / "masks", tmp_path, "2024 05"))["name"] == "2024_05"
    (tmp_path / "masks/x.png").unlink()
    Image.fromarray(np.array([[0.5, np.nan]], dtype=np.float32)).save(tmp_path / "masks/x.tif")
    with pytest.raises(InputError, match=r"x\.tif has float32 values, but masks hold whole numbers or colours"):
        propose(tmp_path / "images", tmp_path / "masks", tmp_path, "x")


def test_a_proposal_names_a_white_for_dark_images_of_sixteen_bits(tmp_path):
    touched(tmp_path, "images/x.png", "masks/x.png")
    Image.fromarray(np.array([[0, 0, 1, 1]] * 3, dtype=np.uint8)).save(tmp_path / "masks/x.png")
    Image.fromarray(np.full((3, 4), 200, dtype=np.uint16)).save(tmp_path / "images/x.png")
    assert yaml.safe_load(propose(tmp_path / "images", tmp_path / "masks", tmp_path, "x"))["white"] == 256
