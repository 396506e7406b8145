"""What the words of a report ask for."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from src.core.errors import InputError
from src.reporting.output.publish import copy_runs
from src.reporting.request import asked, folders_in
from tests.reporting.conftest import make_run, table_of


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a", ["a"]),
        ("a,b", ["a", "b"]),
        ("x,y", ["x,y"]),  # there is such a folder
        ("'x,y',b", ["x,y", "b"]),
        ('b,"x,y"', ["b", "x,y"]),
        ("[a,b]", ["a", "b"]),
        ("[c]", ["[c]"]),
        ("['x,y', b]", ["x,y", "b"]),
        ("a,,b,", ["a", "b"]),
        ("it's,b", ["it's", "b"]),
        (",".join(["a"] * 3000), ["a"] * 3000),  # longer than any path
    ],
)
def test_folders_are_named_with_and_without_commas(tmp_path, monkeypatch, text, names):
    monkeypatch.chdir(tmp_path)
    for name in ("x,y", "[c]"):
        (tmp_path / name).mkdir()
    assert folders_in(text) == [Path(name) for name in names]


def config(**options):
    empty = dict.fromkeys(("title", "question", "baseline", "output", "insert", "records", "images", "names"), None)
    return OmegaConf.create({**empty, "resamples": 100, **options})


@pytest.mark.parametrize("text", ["", ",", "[]"])
def test_no_folder_is_a_sentence(text):
    with pytest.raises(InputError, match="names no folder"):
        asked(config(options=[f"runs={text}"]))


def test_a_missing_folder_with_a_comma_is_told_how_to_name_it(tmp_path):
    with pytest.raises(InputError, match="x,z: there is no such folder; if its name has a comma, put quotes inside"):
        asked(config(options=[f"runs='{tmp_path}/x,z',b"]))
    with pytest.raises(InputError, match=r"cannot be read \(File name too long\)"):
        asked(config(options=[f"runs={'x' * 5000}"]))


@pytest.mark.parametrize(("where", "name"), [(".", "[b] $(x)"), ("..", "runs"), ("", "b-x")])
def test_a_report_without_a_title_has_a_name_that_is_no_path(tmp_path, monkeypatch, where, name):
    make_run(tmp_path / "runs" / "[b] $(x)", images=3)
    monkeypatch.chdir(tmp_path / "runs" / "[b] $(x)")
    question = asked(config(options=[f"runs={tmp_path / 'runs' / '[b] $(x)' / where}"]))
    assert question.name == {"[b] $(x)": "b-x"}.get(name, name)


def test_a_wrong_baseline_names_the_rows_and_says_if_nothing_is_done(tmp_path):
    for number, loss in enumerate(("focal", "dice")):
        make_run(tmp_path / str(number), loss=loss, images=3).results.unlink()
    with pytest.raises(InputError, match=r"zzz: no row .*, and no run is done yet; use one of 'focal', 'dice', 'none'"):
        table_of(tmp_path, baseline="zzz")


def test_trainings_get_short_names_that_copied_runs_keep(tmp_path):
    for number, loss in enumerate(("focal", "dice")):
        make_run(tmp_path / "runs" / str(number), loss=loss, images=3)
    word = f"runs={tmp_path / 'runs'}"
    question = asked(config(options=[word], names=["ours", "theirs"], baseline="theirs"))
    copy_runs(question, tmp_path / "copy")
    for one in (question, asked(config(options=[f"runs={tmp_path / 'copy'}"]))):
        table = one.compare(resamples=100)
        assert [table.label(row) for row in table.rows] == ["ours", "theirs"]
        assert table.baseline is table.rows[1]


@pytest.mark.parametrize("names", [["ours"], ["ours", "ours"], ["a", "b", "c"]])
def test_names_must_fit_the_trainings(tmp_path, names):
    for number, loss in enumerate(("focal", "dice")):
        make_run(tmp_path / str(number), loss=loss, images=3)
    question = asked(config(options=[f"runs={tmp_path}"], names=names))
    with pytest.raises(InputError, match=r"names=\[.*give 2 different names, one for each of 'focal'; 'dice'"):
        question.compare(resamples=100)
