import csv
import errno
import io
import os
import re
import warnings

import pytest
from omegaconf import OmegaConf
from rich.console import Console

from src.core.errors import InputError
from src.reporting import run_table
from src.reporting.output import formats, page
from src.reporting.output.figures import plots
from src.reporting.output.publish import between_marks, write, write_together
from src.runs.checks.commands import check_report
from src.runs.folder import RunFolder
from tests.reporting.conftest import make_run, table_of


@pytest.fixture
def table(runs):
    RunFolder(runs / "focal2").results.unlink()
    return table_of(runs)


def test_markdown_has_a_line_per_row_and_names_what_is_missing(table):
    lines = formats.markdown(table).splitlines()
    rows = [line for line in lines if line.startswith("| ")]
    assert [row.split(" | ")[0] for row in rows] == ["| row", "| dice", "| focal"]
    assert len({row.count("|") for row in rows}) == 1
    assert re.search(r"\| 2 of 3 \| \d\d\.\d\d \[\d\d\.\d\d, \d\d\.\d\d\]", rows[2]) and "worse" in rows[2]
    assert any(line.startswith("* unfinished: `focal2`") for line in lines)


def test_many_rows_of_one_verdict_are_counted_and_those_that_differ_most_named(tmp_path):
    qualities = {"none": 0.5, **{f"v{k}": 0.6 + 0.05 * k for k in range(7)}}
    make_run(tmp_path / "a", variants=qualities)
    assert formats.summary(table_of(tmp_path)) == ["7 rows are better than none, most of all v6, v5 and v4."]


def test_csv_gives_every_score_of_every_row(table):
    rows = list(csv.DictReader(io.StringIO(formats.csv_text(table))))
    assert len(rows) == 2 * (2 + 4 + 3 + 21)
    first = next(row for row in rows if (row["row"], row["score"]) == ("focal", "miou"))
    assert float(first["low"]) < float(first["value"]) < float(first["high"])
    assert float(first["difference"]) < 0 and first["verdict"] == "worse" and float(first["p_corrected"]) < 0.05


def test_latex_escapes_what_latex_would_read(table):
    table.rows[0].network = "50 % of a_b & c"
    text = formats.latex(table)
    assert r"50 \% of a\_b \& c" in text and r"\toprule" in text and text.count(r"\\") == 3
    assert not re.search(r"(?<!\\)[%&](?=[^ ])", text.split(r"\midrule")[1].split(r"\bottomrule")[0])
    assert "-1" not in text.split(r"\midrule")[1].replace("$-$", "")  # a minus, not a hyphen


@pytest.mark.parametrize("width", [60, 80, 110, 160])
def test_the_screen_table_fits(table, width):
    console = Console(width=width, file=io.StringIO(), record=True)
    formats.show(table, console)
    lines = console.export_text().splitlines()
    (row,) = [line for line in lines if line.strip().startswith("focal ") and "[" in line]
    assert len(row) <= width and row.count("[") == row.count("]") and "worse" in row and "…" not in row
    assert any("unfinished: focal2" in line for line in lines)


def test_words_follow_marks(table):
    assert formats.summary(table) == ["focal is worse than dice."]


def test_a_table_is_put_between_its_marks_and_nowhere_else(tmp_path):
    file = tmp_path / "README.md"
    file.write_text("a\n<!-- table: t -->\nold\n<!-- end -->\nb\n<!-- table: u -->\nkept\n<!-- end -->\n")
    text = between_marks(file, "t", "new \\1")
    assert text.startswith("a\n<!-- table: t -->\n\nnew \\1\n<!-- end -->\nb\n")
    assert "kept" in text and "old" not in text
    with pytest.raises(InputError, match="has no lines '<!-- table: v -->'"):
        between_marks(file, "v", "")


def test_a_class_that_does_not_occur_has_no_numbers(table):
    rows = list(csv.DictReader(io.StringIO(formats.csv_text(table))))
    absent = [row for row in rows if row["score"] == "iou/tvmonitor"]
    assert len(absent) == 2 and {row[key] for row in absent for key in ("value", "low", "difference", "p")} == {""}


HOSTILE = [
    *("[/data/voc]", "[bold]x", "a|b", "<script>alert(1)</script>", "`x`", "a\nb", "\x1b[2J", "a\x9bb", "\u202eabc"),
    *(
        "$x$",
        r"$\frac$",
        "_hid",
        "^~>\\{}#&%$_<",
        "--x",
        "*y*",
        "=1+1",
        "&lt;",
        "<!-- end -->",
        ":smile:",
        "\u4e2d",
        "x" * 300,
    ),
]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A table of rows with such names, and of a run that failed with them."""
    runs = tmp_path_factory.mktemp("hostile")
    for number, name in enumerate(HOSTILE):
        make_run(runs / str(number), loss=name, images=3)
    failed = make_run(runs / "[b]\x1b`<!-- end -->", images=3)
    failed.results.unlink()
    failed.failure.write_text("no [/data] \x1b[2J | <b>\nin `x`")
    return table_of(runs, baseline=r"a\nb", resamples=100)


def raw(text):
    return re.findall("[\x00-\x09\x0b-\x1f\x7f\u202e\ud800-\udfff]", text)


def test_names_are_text_on_the_terminal(hostile):
    console = Console(width=400, file=io.StringIO())  # even one that would read markup
    formats.show(hostile, console)
    text = console.file.getvalue()
    assert not raw(text)
    for name in ("[/data/voc]", "[bold]x", r"a\nb", r"\x1b[2J", ":smile:", r"failed: [b]\x1b`", r"no [/data] \x1b[2J"):
        assert f"{name} " in text or name in text.splitlines()[-1]


def test_names_are_text_in_markdown(hostile, tmp_path):
    text = formats.markdown(hostile)
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) == len(HOSTILE) + 2 and not raw(text)  # and headings, and the failed run
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {len(re.findall(r"\|", rows[0]))}
    assert not re.search(r"<[A-Za-z/!?]", text) and r"| \`x\` |" in text and r"| \[/data/voc\] |" in text
    (tmp_path / "page.md").write_text(f"<!-- table: t -->\n{text}\n<!-- end -->\nafter")
    assert between_marks(tmp_path / "page.md", "t", "new") == "<!-- table: t -->\n\nnew\n<!-- end -->\nafter"


def test_names_are_text_in_latex(hostile):
    hostile.name = "a_b}\\input{x}"
    text = formats.latex(hostile)
    assert r"\label{tab:a-b-input-x-}" in text and not raw(text)
    body = text.split(r"\midrule")[1].split(r"\bottomrule")[0].strip().splitlines()
    assert len(body) == len(HOSTILE) + 1 and {len(re.findall(r"(?<!\\)&", row)) for row in body} == {6}
    for row in body:
        assert not row.startswith(("[", "*"))  # an option of the line break before it
        bare = re.sub(r"\\text\w+\{\}|\\[%_&#{}$]|\$[-<>+|]\$|\\\\$|-\{\}-|^\{\}", "", row).replace("&", "")
        assert not re.search(r"[\\^~>{}#%$_<|]|--", bare)


def test_names_are_text_in_csv(hostile):
    text = formats.csv_text(hostile)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 30 * (len(HOSTILE) + 1) and not raw(text) and "'=1+1" in {row["row"] for row in rows}


def test_names_are_text_in_figures_and_on_the_page(hostile):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")
        text = page.render(hostile, ["echo '\x1b <b>'"], plots.all_of(hostile))
    assert not raw(text) and "<script>alert" not in text and "<b>" not in text
    drawn = re.findall(r"<text[^>]*>([^<]*)", text)
    for name in ("$x$", r"$\frac$", " _hid", "[/data/voc]", r"a\nb"):
        assert name in drawn


def test_a_finished_run_is_shown_as_text(tmp_path):
    folder = make_run(tmp_path / "[b]\x1b", images=3)
    console = Console(width=200, file=io.StringIO())
    run_table.show(folder, console)
    assert r"[b]\x1b" in console.file.getvalue() and "3 images of made" in console.file.getvalue()


def test_a_report_that_cannot_be_written_leaves_the_earlier_one(table, tmp_path, monkeypatch):
    note = tmp_path / "note.md"
    note.write_text("<!-- table: t -->\n<!-- end -->\n")
    folder = tmp_path / "report"
    write(table, [], {}, folder, insert=str(note), images={})
    assert "| focal |" in note.read_text()
    before = {path: path.read_bytes() for path in [*folder.iterdir(), note]}
    table.question = "another"
    calls = iter(range(5))

    def full(descriptor):
        if next(calls) == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        InputError, match=r"\(No space left on device\), so .*/report stays as it was; .* needs [\d,]+ bytes"
    ):
        write(table, [], {}, folder, insert=str(note), images={})
    assert {path: path.read_bytes() for path in [*folder.iterdir(), note]} == before
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "runs") == ["note.md", "report"]


def test_a_report_removes_figures_that_it_does_not_draw(table, tmp_path):
    write(table, [], plots.all_of(table), tmp_path, insert=None, images={})
    (tmp_path / "mine.pdf").touch()
    assert (tmp_path / "forest.pdf").exists()
    write(table, [], {}, tmp_path, insert=None, images={})
    assert [path.name for path in tmp_path.glob("*.pdf")] == ["mine.pdf"]


@pytest.mark.parametrize("blocked", ["report", "report/table.tex"])
def test_what_blocks_a_report_is_named(tmp_path, blocked):
    path = tmp_path / "report" / "table.md"
    if blocked == "report":
        (tmp_path / "report").touch()
    else:
        (tmp_path / blocked).mkdir(parents=True)
    with pytest.raises(InputError, match=rf"{blocked} cannot be written .* output=FOLDER"):
        write_together(tmp_path / "report", {path: b"a", path.with_name("table.tex"): b"b"})
    assert not path.exists()


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        *[
            ("title", title, "title=.*no slash")
            for title in ("../../x", "", ".", "..", "a/b", "/a/b", "a\nb", "x" * 300)
        ],
        *[("resamples", number, "from 100 to 1000000|at most 1000000") for number in (1_000_001, 10**9)],
        *[("resamples", number, "must be a whole number") for number in ("abc", 1e9, 5, None, True)],
        *[
            (key, ["a"], f"{key}=.*must be a")
            for key in ("title", "question", "baseline", "output", "insert", "records")
        ],
        ("names", "A", "names=.*must be a list"),
        *[("images", wrong, "must be worst:N") for wrong in ("worst", "worst:0", "worst:-1", "best:3", 50, True)],
        ("options", [], "nothing to report on"),
    ],
)
def test_options_of_a_report_are_checked(key, value, says):
    config = dict.fromkeys(("title", "question", "baseline", "output", "insert", "records", "images", "names"), None)
    config |= {"options": ["runs=x"], "resamples": 100, "logger": {"name": "csv"}}
    config |= {"definitions": False, "ensemble": False}
    check_report(OmegaConf.create(config))
    with pytest.raises(InputError, match=says) as raised:
        check_report(OmegaConf.create({**config, key: value}))
    assert len(str(raised.value).splitlines()) == 1
