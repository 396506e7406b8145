"""The published tables of real images can be made anew from what lies in the tree."""

import re

import pytest
from omegaconf import OmegaConf

from src.reporting.output import formats
from src.reporting.request import of_runs
from tests.conftest import ROOT

RESULTS = sorted(path.parent for path in (ROOT / "experiments" / "results").glob("*/table.yaml"))


def test_there_are_results():
    assert RESULTS


@pytest.mark.parametrize("folder", RESULTS, ids=lambda path: path.name)
def test_the_page_of_experiments_has_the_table_of_the_results(folder):
    question = of_runs([folder], OmegaConf.create(dict.fromkeys(("title", "question", "baseline", "names"))))
    page = (ROOT / "experiments" / "README.md").read_text(encoding="utf-8")
    (printed,) = re.findall(rf"<!-- table: {question.name} -->\n(.*?)<!-- end -->", page, flags=re.DOTALL)
    assert printed.strip() == formats.markdown(question.compare(10_000)).strip()


@pytest.mark.parametrize("folder", RESULTS, ids=lambda path: path.name)
def test_results_are_small_and_hold_no_picture(folder):
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} <= {".yaml", ".json", ".npz", ".csv"}
    assert sum(path.stat().st_size for path in files) < 5e6
