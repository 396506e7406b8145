"""Confusion matrices from anywhere: in Python, and in files."""

import numpy as np
import pytest

from src.core.errors import InputError
from src.reporting.collect import of_counts
from src.reporting.comparison import compare as table_of
from src.reporting.statistics.matrices import compare
from src.scoring.metrics import scores
from tests.reporting.conftest import counts


def matrices(quality, seeds=1, images=40):
    return np.stack([counts(images, quality, seed=seed)[0] for seed in range(seeds)])


def test_methods_are_compared_with_the_first():
    mine, theirs = matrices(0.80)[0], matrices(0.82, seeds=2)
    found = compare({"mine": mine, "theirs": theirs})
    assert found["mine"].miou == pytest.approx(scores(mine).miou, abs=1e-6)
    wanted = np.mean([scores(one).miou for one in theirs]) - scores(mine).miou
    assert found["theirs"].difference == pytest.approx(wanted, abs=1e-6)
    assert found["theirs"].low < found["theirs"].difference < found["theirs"].high
    assert (found["theirs"].verdict != "not separable") == (found["theirs"].p < 0.05)
    assert found["mine"].verdict == "" and np.isnan(found["mine"].p)


@pytest.mark.parametrize(
    ("strange", "why"), [(np.ones((3, 2)), "shape"), (matrices(0.8, images=30)[0], "other images")], ids=["flat", "few"]
)
def test_other_shapes_and_images_are_refused(strange, why):
    with pytest.raises(ValueError, match=f"theirs: .*{why}"):
        compare({"mine": matrices(0.8)[0], "theirs": strange})


def test_a_table_of_files_says_what_python_says(tmp_path):
    methods = {"mine": matrices(0.80, seeds=3), "theirs": matrices(0.83, seeds=2)}
    for name, found in methods.items():
        np.savez(tmp_path / f"{name}.npz", counts=found)
    cells = of_counts([tmp_path / f"{name}.npz" for name in methods])
    table = table_of(cells, name="t", question="q", baseline=None, resamples=5000)
    found = compare(methods, swaps=5000)["theirs"]
    (mine, theirs) = table.rows
    assert [row.network for row in table.rows] == ["mine", "theirs"] and [len(row.done) for row in table.rows] == [3, 2]
    assert mine.difference is None and theirs.difference.value[0] == pytest.approx(found.difference)
    assert theirs.p == pytest.approx(found.p, abs=0.02)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ({"matrix": np.ones((2, 3, 3), int)}, "holds no such counts"),
        ({"counts": np.ones((2, 3, 4), int)}, "holds no such counts"),
        ({"counts": np.ones((2, 3, 3))}, "holds no such counts"),
        ({"counts": -np.ones((2, 3, 3), int)}, "holds no such counts"),
        ({"counts": np.ones((2, 3, 3), int), "ids": np.array(["a", "a"])}, "`ids` are not 2 different texts"),
        ({"counts": np.ones((2, 3, 3), int), "classes": np.array(["a"])}, "`classes` are not 3 different texts"),
        ({"counts": np.array([{}])}, "cannot be read"),
    ],
    ids=["name", "shape", "type", "negative", "ids", "classes", "pickle"],
)
def test_files_of_something_else_are_named(tmp_path, content, why):
    np.savez(tmp_path / "a.npz", **content)
    with pytest.raises(InputError, match=f"a.npz.*{why}"):
        of_counts([tmp_path / "a.npz"])


def test_files_that_are_no_archive_are_named(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"no archive")
    with pytest.raises(InputError, match=r"a\.npz cannot be read"):
        of_counts([tmp_path / "a.npz"])
    with pytest.raises(InputError, match="there is no such file"):
        of_counts([tmp_path / "b.npz"])
