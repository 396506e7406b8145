"""From a folder of images and a folder of masks to a report, by the commands that a user types."""

import json

import numpy as np
import pytest
import yaml
from PIL import Image

from tests.conftest import TINY, run, warm_run

NETWORK = [word for word in TINY if not word.startswith("data")]
COLOURS = np.array([[0, 0, 0], [128, 64, 128]], dtype=np.uint8)
IDS = [f"patient{k // 2}_{'ab'[k % 2]}" for k in range(40)]


def truth(number, classes):
    """(48, 60) labels: a background, and one stripe per further class."""
    labels = np.zeros((48, 60), dtype=np.int64)
    for label in range(1, classes):
        labels[5 + 20 * (label - 1) : 15 + 20 * (label - 1), number % 30 : number % 30 + 30] = label
    return labels


def made(folder, *, ending="jpg", mask=lambda labels: labels.astype(np.uint8), classes=2):
    """Images that show their labels, and masks; returns the labels of each id."""
    (folder / "photos").mkdir()
    (folder / "truth" / "deep").mkdir(parents=True)
    found = {}
    for number, name in enumerate(IDS):
        labels = truth(number, classes)
        noise = np.random.default_rng(number).integers(0, 40, (48, 60, 3))
        Image.fromarray((90 * labels[..., None] + noise).astype(np.uint8)).save(folder / "photos" / f"{name}.{ending}")
        Image.fromarray(mask(labels)).save(folder / "truth" / f"{name}_mask.png")
        found[name] = labels
    return found


def proposed(folder):
    """The config that `check` proposes, after a look at what it says."""
    done = warm_run("check", "images=photos", "masks=truth", "write=my.yaml", cwd=folder)
    assert "no problems found" in done.stdout
    assert (folder / "check.webp").stat().st_size > 1000
    return yaml.safe_load((folder / "my.yaml").read_text())


def trained(folder, *words):
    """The results of a training on the proposed config, and its counts; and a report that shows them."""
    warm_run("train", "data=my.yaml", *NETWORK, "recipe.epochs=1", "name=r", "variants=none", *words, cwd=folder)
    warm_run("report", "runs=runs/r", "resamples=100", cwd=folder)
    results = json.loads((folder / "runs/r/results.json").read_text())
    (page,) = folder.glob("reports/*/index.html")
    assert all(name in page.read_text() for name in results["classes"]["names"])
    with np.load(folder / "runs/r/confusion.npz") as counts:
        return results, counts["ids"].tolist(), counts["none"]


def check_counts(labels, ids, counts):
    """The counted pixels of each class are those that the test has drawn."""
    drawn = np.stack([np.bincount(labels[name].ravel(), minlength=counts.shape[1]) for name in ids])
    np.testing.assert_array_equal(counts.sum(-1), drawn)


@pytest.mark.slow
def test_masks_of_colours(tmp_path):
    labels = made(tmp_path, mask=lambda labels: COLOURS[labels])
    config = proposed(tmp_path)
    assert config["classes"] == {"background": [0, 0, 0], "class1": [128, 64, 128]} and config["colours"] == "exact"
    text = (tmp_path / "my.yaml").read_text().replace("class1", "road")
    (tmp_path / "my.yaml").write_text(text)
    results, ids, counts = trained(tmp_path, "variants=fusion")
    assert results["classes"] == {
        "names": ["background", "road"],
        "colours": [[0, 0, 0], [128, 64, 128]],
        "background": "background",
    }
    assert "crf_raw_fill" in results["variants"] and list(results["variants"]["none"]["iou"]) == ["background", "road"]
    check_counts(labels, ids, counts)


@pytest.mark.slow
def test_images_in_tiff_files(tmp_path):
    labels = made(tmp_path, ending="tif", classes=3)
    assert proposed(tmp_path)["classes"] == ["background", "class1", "class2"]
    _, ids, counts = trained(tmp_path)
    assert counts.shape[1:] == (3, 3)
    check_counts(labels, ids, counts)


@pytest.mark.slow
def test_groups_stay_together_and_new_images_move_none(tmp_path):
    labels = made(tmp_path)
    proposed(tmp_path)
    with (tmp_path / "my.yaml").open("a") as file:
        file.write('group: "(patient[0-9]+)_.*"\n')
    _, ids, counts = trained(tmp_path)
    check_counts(labels, ids, counts)
    assert 0 < len(ids) < len(IDS) and len(ids) == 2 * len({name[:-2] for name in ids})
    split = (tmp_path / "runs/r/splits/val.txt").read_text().split()
    assert sorted(split) == sorted(ids)
    for name in ("patient99_a", "patient100_a"):
        Image.new("RGB", (60, 48)).save(tmp_path / "photos" / f"{name}.jpg")
        Image.new("L", (60, 48)).save(tmp_path / "truth" / f"{name}_mask.png")
    warm_run("check", "data=my.yaml", cwd=tmp_path)
    warm_run("train", "data=my.yaml", *NETWORK, "recipe.epochs=0", "name=s", "variants=none", cwd=tmp_path)
    after = (tmp_path / "runs/s/splits/val.txt").read_text().split()
    assert set(split) <= set(after) <= {*split, "patient99_a", "patient100_a"}


@pytest.mark.slow
def test_masks_of_sixteen_bits(tmp_path):
    labels = made(tmp_path, mask=lambda labels: np.array([1000, 7], dtype=np.uint16)[labels])
    config = proposed(tmp_path)
    assert config["label_mapping"] == {7: "class7", 1000: "class1000"} and config["background"] is None
    results, ids, counts = trained(tmp_path)
    assert results["classes"]["names"] == ["class7", "class1000"]
    check_counts({name: 1 - found for name, found in labels.items()}, ids, counts)


@pytest.mark.slow
@pytest.mark.parametrize("words", [[], ["background=null"]])
def test_the_rule_fill_needs_a_background(words, tmp_path):
    made(tmp_path)
    proposed(tmp_path)
    done = warm_run(
        "train", "data=my.yaml", *NETWORK, *(f"data.{word}" for word in words), "recipe.epochs=0", "panels=0",
        cwd=tmp_path, status=1 if words else 0,
    )  # fmt: skip
    if words:
        assert (
            "variants crf_raw_fill, crf_normalized_fill, crf_normalized_unscaled_fill: their rule asks" in done.stderr
        )


@pytest.mark.slow
def test_a_network_is_scored_on_other_classes_only_where_it_is_said_what_becomes_of_its_own(tmp_path):
    labels = made(tmp_path, classes=3)
    proposed(tmp_path)
    _, ids, own = trained(tmp_path)
    other = yaml.safe_load((tmp_path / "my.yaml").read_text())
    other["classes"], other["label_mapping"] = ["background", "thing"], {0: "background", 1: "thing", 2: "thing"}
    (tmp_path / "other.yaml").write_text(yaml.safe_dump(other))
    words = ["run=runs/r", "data=other.yaml", "variants=none", "panels=0", "output=out"]
    refused = warm_run("evaluate", *words, cwd=tmp_path, status=1)
    assert "different classes: only the first has class1, class2; only the second has thing" in refused.stderr
    unsaid = warm_run("evaluate", *words, "map_classes={class1:thing}", cwd=tmp_path, status=1)
    assert "says nothing of class2" in unsaid.stderr
    warm_run("evaluate", *words, "map_classes={class1:thing,class2:thing}", cwd=tmp_path)
    with np.load(tmp_path / "out/confusion.npz") as counts:
        assert counts["ids"].tolist() == ids
        check_counts({name: np.minimum(found, 1) for name, found in labels.items()}, ids, counts["none"])
        joined = counts["none"]
    assert joined[:, 0, 0].sum() <= own[:, 0, 0].sum()  # two classes together win more pixels than each alone
    seen = warm_run(
        "evaluate", "run=runs/r", "variants=none", "data.val=[patient0_*,patient1_*]", "output=o", cwd=tmp_path
    )
    learned = set((tmp_path / "runs/r/splits/train.txt").read_text().split())
    count = len(learned & {f"patient{k}_{side}" for k in (0, 1) for side in "ab"})
    assert f"WARNING: {count} of them were trained on" in seen.stdout
    mixed = warm_run("report", "runs=runs/r,out", cwd=tmp_path, status=1)
    assert "different classes" in mixed.stderr


@pytest.mark.slow
def test_a_bad_mask_ends_the_command_and_its_workers(tmp_path):
    """Python itself would wait for ever for a worker that ignores SIGTERM."""
    made(tmp_path)
    proposed(tmp_path)
    for path in (tmp_path / "truth").glob("*.png"):
        labels = np.array(Image.open(path))
        labels[0, 0] = 77
        Image.fromarray(labels).save(path)
    words = ["data=my.yaml", *NETWORK, "variants=none", "panels=0", "trainer.workers=1"]
    done = run("train", *words, cwd=tmp_path, status=1, timeout=300)
    assert "_mask.png has labels 77, allowed are 0..1" in done.stderr and "Traceback" not in done.stderr
