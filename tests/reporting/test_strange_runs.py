"""Run folders from a stranger: what does not fit together is refused in one sentence, and nothing else is believed."""

import json
import os
import re
import shutil
import zipfile

import numpy as np
import pytest
from omegaconf import OmegaConf

from src.core.errors import InputError
from src.reporting.output import page
from src.reporting.output.figures import plots
from src.runs.checks.records import read_reason
from src.runs.folder import RunFolder
from tests.reporting.conftest import make_run, table_of


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    folder = make_run(tmp_path_factory.mktemp("good") / "run", images=6, variants={"none": 0.8, "crf": 0.9})
    ending = {"monitor": {"key": "val/miou", "value": 0.5, "epoch": 2}}
    folder.write_ending({**ending, "training": {"steps": 3, "of": 3, "stopped": None}})
    return folder.path


@pytest.fixture
def run(good, tmp_path):
    return shutil.copytree(good, tmp_path / "runs" / "run")


def with_bytes(content):
    return lambda path: path.write_bytes(content)


def cut(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def pipe(path):
    path.unlink()
    os.mkfifo(path)


def folder(path):
    path.unlink()
    path.mkdir()


def huge(path):
    os.truncate(path, 2**30)


def arrays(change):
    """Change the arrays of an npz file."""

    def write(path):
        with np.load(path) as file:
            found = dict(file)
        np.savez(path, **change(found))

    return write


def lacking(name):
    return arrays(lambda found: {key: value for key, value in found.items() if key != name})


def array(name, change):
    return arrays(lambda found: {**found, name: change(found[name])})


def with_cell(value, dtype=np.int64):
    def change(counts):
        changed = counts.astype(dtype)
        changed[(0,) * counts.ndim] = value
        return changed

    return change


def values(change):
    """Change the content of a JSON file."""

    def write(path):
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    return write


def setting(key, value):
    def change(content):
        *path, last = key.split("/")
        for part in path:
            content = content[part]
        content[last] = value

    return values(change)


def without(key):
    return values(lambda content: content.pop(key))


def header_that_lies(path):
    """Ids of a size that is not in the file."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["ids.npy"] = members["ids.npy"].replace(b"<U6", b"<U9999999")[: len(members["ids.npy"])]
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def twice(path):
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("none.npy", archive.read("none.npy"))


AGAIN = "then the same command (python -m src.train, or src.evaluate for a folder of scores) scores again"
DEEP = b"[" * 100_000

RUN = b"data: {name: d, root: r}\ncrf: {name: c}\nvariants: {none: null}\ntrainer: {}\n"

BAD = {
    "results.json": [
        (cut, "is cut off or is not JSON"),
        (with_bytes(b""), AGAIN),
        (with_bytes(b"{}"), "has no `data`"),
        (with_bytes(b"[1]"), "holds no keys"),
        (with_bytes(b"null"), "holds no keys"),
        (with_bytes(b'{"data": "\xff"}'), "is not a text in UTF-8"),
        (with_bytes(DEEP), "nested too deeply"),
        (huge, "is larger than"),
        (pipe, "is not a file but a folder, a pipe"),
        (folder, AGAIN),
        (setting("images", 7.0), "has `images`, which is not a whole number"),
        (setting("images", True), "has `images`"),
        (setting("images", 7), "expected"),
        (setting("images", 0), "0 images"),
        (setting("data", ["a"]), "has `data`, which is not a short text"),
        (setting("data", "\x1b[2J"), "has `data`"),
        (setting("variants", []), "no keys under `variants`"),
        (setting("variants", {}), "no scores under `variants`"),
        (setting("variants/none", 1), "no keys under `variants.none`"),
        (setting("variants/none/miou", "0.5"), "has `variants.none.miou`, which is not a number from 0 to 1"),
        (setting("variants/none/miou", float("nan")), "variants.none.miou"),
        (setting("variants/none/miou", 0.25), "gives another miou for 'none'"),
        (setting("variants/none/pixel_accuracy", 0.25), "gives another pixel_accuracy for 'none'"),
        (setting("variants/none/trimap_miou", {"3": 0.25}), "gives another trimap_miou for 'none'"),
        (setting("variants/none/iou", {"sky": 0.5}), "the variants have different classes"),
        (setting("variants/new", {"miou": 0.5, "pixel_accuracy": 0.5}), "counts the variants"),
        (
            values(lambda content: content["variants"].update({"../x": content["variants"]["none"]})),
            "not the name of a",
        ),
        (setting("fingerprint", "x"), "no keys under `fingerprint`"),
        (setting("machine", {"device": ["cpu"]}), "has `machine.device`"),
        (setting("monitor", {"key": 5}), "has `monitor.key`"),
    ],
    "training.json": [
        (cut, "goes on from last.ckpt"),
        (with_bytes(b"{}"), "has no `monitor`"),
        (without("training"), "has no `training`"),
        (setting("training/stopped", ["x"]), "has `training.stopped`"),
        (setting("training/steps", "3"), "has `training.steps`"),
        (pipe, "is not a file"),
    ],
    "metrics.csv": [
        (with_bytes(b"\x89PNG\xff"), "is not a text in UTF-8"),
        (with_bytes(b"{}"), "is not the table of epochs"),
        (with_bytes(b"epoch,step,train/loss\nx,1,2\n"), "is not the table of epochs"),
        (with_bytes(b"epoch,step,train/loss\n1,1,loss\n"), "is not the table of epochs"),
        (with_bytes(b"epoch,step,train/loss\n" + b"9" * 99 + b",1,1\n"), "is not the table of epochs"),
        (with_bytes(b'epoch,"train/loss\n' + b"x" * 200_000), "is not the table of epochs"),
        (huge, "the report has no curves of this run"),
        (pipe, "is not a file"),
        (folder, "is not a file"),
    ],
    "config.yaml": [
        (with_bytes(b""), "`key: value` lines"),
        (with_bytes(b"[1]"), "`key: value` lines"),
        (with_bytes(b"5"), "cannot be read as YAML"),
        (with_bytes(b"a: [1,\n"), "cannot be read as YAML"),
        (with_bytes(b"a: 1\n"), "is not the config of a run"),
        (with_bytes(b"data: x\ntrainer: {}\n"), "is not the config of a run"),
        (with_bytes(b"a: \xff"), "cannot be read as YAML"),
        (with_bytes(b"{a: " * 3000), "is nested too deeply"),
        (with_bytes(b"a: &a [1]\nb: [*a, *a]\n"), "holds a YAML alias"),
        (with_bytes(RUN + b"seed: abc\n"), "seed=abc is not a whole number"),
        (with_bytes(RUN + b"seed: 99999999999999999999\n"), "2^63 - 1"),
        (huge, "has more than 10 MB"),
        (pipe, "is not a"),
        (folder, "is not a"),
    ],
    "confusion.npz": [
        (lambda path: path.unlink(), "is missing"),
        (cut, "is damaged"),
        (with_bytes(b""), "is damaged"),
        (twice, "holds a name twice"),
        (header_that_lies, "ids.npy cut off"),
        (array("none", lambda counts: counts[:5]), "(5, 21, 21)"),
        (array("none", lambda counts: counts[:, 0]), "(6, 21)"),
        (array("none", lambda counts: counts[:, :5, :5]), "counts 5 classes"),
        (array("none", lambda counts: counts.astype(float)), "of type float64, but whole numbers are expected"),
        (array("none", with_cell(np.nan, float)), "of type float64"),
        (array("none", with_cell(None, object)), "of type object"),
        (array("none", with_cell(-1)), "negative"),
        (array("none", with_cell(2**63 - 1)), "larger than any image"),
        (array("none", with_cell(1)), "gives another miou"),
        (array("crf", lambda counts: counts[[1, 0, 2, 3, 4, 5]]), "against another truth"),
        (array("ids", lambda ids: np.arange(6)), "texts are expected"),
        (array("ids", lambda ids: ids[[0, 0, 2, 3, 4, 5]]), "counts an image twice"),
        (array("ids", lambda ids: ids[:5]), "(5,)"),
        (lacking("ids"), "holds no ids"),
        (lacking("crf"), "counts the variants none, but results.json has none, crf"),
        (arrays(lambda found: {**found, "../x": found["none"]}), "counts the variants"),
        (pipe, "is not a file"),
        (folder, AGAIN),
    ],
    "trimap.npz": [
        (cut, "is damaged"),
        (array("none", lambda counts: counts[:, :2]), "(6, 2, 2, 21)"),
        (array("none", with_cell(-1)), "negative"),
        (array("none", with_cell(2**30)), "more hits than pixels"),
        (array("none", lambda counts: counts // 2), "gives another trimap_miou"),
        (array("ids", lambda ids: np.array([f"other{k}" for k in range(6)])), "counts other images than confusion.npz"),
        (lacking("crf"), "counts the variants"),
        (pipe, "is not a file"),
    ],
    "boundary.npz": [
        (cut, "is damaged"),
        (array("none", lambda counts: counts[:, :1]), "(6, 2, 21)"),
        (array("none", with_cell(2**30)), "more hits than pixels"),
        (array("none", lambda counts: counts // 2), "gives another boundary_iou"),
        (lacking("crf"), "counts the variants"),
    ],
    "failed.txt": [(pipe, "is not a file"), (folder, "delete it")],
    "panels/extremes/none-best.webp": [
        (with_bytes(b"-----BEGIN PRIVATE KEY-----"), "is not a WebP picture"),
        (pipe, "is not a file"),
    ],
}


@pytest.mark.filterwarnings("ignore:overflow encountered")  # of the counts that are too large
@pytest.mark.parametrize(
    ("name", "number"), [(name, number) for name, cases in BAD.items() for number in range(len(cases))]
)
def test_a_bad_file_is_one_sentence_that_names_it(run, name, number):
    spoil, words = BAD[name][number]
    (run / name).parent.mkdir(parents=True, exist_ok=True)
    (run / name).touch()
    spoil(run / name)
    if name == "failed.txt":
        (run / "results.json").unlink()
    with pytest.raises(InputError) as raised:
        table = table_of(run.parent, resamples=100)
        plots.curves(table)
        page._pictures(table)
    message = str(raised.value)
    assert words in message and "\n" not in message and message.endswith(".")
    assert str(run) in message


def test_another_order_of_equal_images_changes_nothing(tmp_path):
    for loss, quality in (("a", 0.8), ("b", 0.9)):
        make_run(tmp_path / "runs" / loss, loss=loss, variants={"none": quality})
    before = table_of(tmp_path / "runs")
    order = np.random.default_rng(0).permutation(40)
    for name in ("confusion.npz", "trimap.npz", "boundary.npz"):
        arrays(lambda found: {key: value[order] for key, value in found.items()})(tmp_path / "runs" / "b" / name)
    after = table_of(tmp_path / "runs")
    for one, other in zip(before.rows, after.rows, strict=True):
        np.testing.assert_array_equal(one.estimate.low, other.estimate.low)
    np.testing.assert_array_equal(before.rows[1].difference.p, after.rows[1].difference.p)
    # Of the trimaps alone, too: they are brought back to the images they belong to.
    (trimap,) = [tmp_path / "runs" / "a" / "trimap.npz"]
    arrays(lambda found: {key: value[order] for key, value in found.items()})(trimap)
    again = table_of(tmp_path / "runs")
    np.testing.assert_array_equal(before.rows[0].estimate.low, again.rows[0].estimate.low)


def test_what_a_failed_run_says_is_text_on_one_line(tmp_path):
    file = tmp_path / "failed.txt"
    assert read_reason(file) == ""
    file.write_bytes(b"no \x1b[2J room\nCUDA \xff")
    assert read_reason(file) == r"no \x1b[2J room CUDA \xff"
    file.write_bytes(b"x" * 10_000)
    assert len(read_reason(file)) < 2100


def two_runs(tmp_path, **second):
    make_run(tmp_path / "runs" / "a", variants={"none": 0.8, "crf": 0.9}, images=6)
    make_run(tmp_path / "runs" / "b", **{"variants": {"none": 0.8, "crf": 0.9}, "images": 6, **second})
    return tmp_path / "runs"


@pytest.mark.parametrize("second", [{}, {"variants": {"none": 0.7}}, {"variants": {"none": 0.7, "crf": 0.9}}])
def test_no_training_of_equal_config_and_seed_is_dropped(tmp_path, second):
    runs = two_runs(tmp_path, **second)
    with pytest.raises(InputError, match=r"runs/a and .*runs/b have the same config, variant 'none' and seed 1"):
        table_of(runs)
    table = table_of(runs / "a", runs / "a", runs / ".." / "runs" / "a")
    assert len(table.cells) == 1


def test_one_name_for_two_variants_is_no_row(tmp_path):
    runs = two_runs(tmp_path, seed=2)
    assert len(table_of(runs).rows) == 2
    config = OmegaConf.load(runs / "b" / "config.yaml")
    config.variants.crf = {"guidance": "normalized"}
    RunFolder(runs / "b").write_config(config)
    with pytest.raises(InputError, match=r"call different variants 'crf' \(see variants\.crf"):
        table_of(runs)


def test_values_that_read_alike_are_different_rows(tmp_path):
    for name, gamma in (("a", 2), ("b", "2")):
        folder = make_run(tmp_path / name, images=6)
        config = OmegaConf.load(folder.config)
        config.loss.gamma = gamma
        folder.write_config(config)
    labels = [row.network for row in table_of(tmp_path).rows]
    assert len(set(labels)) == 2 and all(re.fullmatch(r"gamma 2 \([0-9a-f]{6}\)", label) for label in labels)


def test_rows_of_different_machines_are_noted(tmp_path):
    runs = two_runs(tmp_path, seed=2)
    assert not any("machines" in note for note in table_of(runs).notes)
    for name, precision in (("a", "32-true"), ("b", "bf16-mixed")):
        machine = {"device": "cpu", "precision": precision, "channels_last": False}
        setting("machine", machine)(runs / name / "results.json")
    (note,) = [note for note in table_of(runs).notes if "machines" in note]
    assert note.startswith("The rows ran on different machines or precisions (precision: 32-true, bf16-mixed), so")
