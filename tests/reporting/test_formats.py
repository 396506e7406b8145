import csv
import io
import re

import pytest
from rich.console import Console

from src.core.errors import InputError
from src.reporting.output import formats
from src.reporting.output.publish import put_between_marks
from src.runs.folder import RunFolder
from tests.reporting.conftest import table_of


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


def test_csv_gives_every_score_of_every_row(table):
    rows = list(csv.DictReader(io.StringIO(formats.csv_text(table))))
    assert len(rows) == 2 * (2 + 4 + 21)
    first = next(row for row in rows if (row["row"], row["score"]) == ("focal", "miou"))
    assert float(first["low"]) < float(first["value"]) < float(first["high"])
    assert float(first["difference"]) < 0 and first["verdict"] == "worse" and float(first["p_holm"]) < 0.05


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
    put_between_marks(file, "t", "new \\1")
    assert file.read_text().startswith("a\n<!-- table: t -->\n\nnew \\1\n<!-- end -->\nb\n")
    assert "kept" in file.read_text() and "old" not in file.read_text()
    with pytest.raises(InputError, match="has no lines '<!-- table: v -->'"):
        put_between_marks(file, "v", "")
