"""`docs/extending.md`: each block of the page is written to a file or run, in the page's order."""

import re
import shlex

import pytest

from src.core.compose import register
from src.runs.jobs import expand
from tests.conftest import ROOT, warm_run

PAGE = ROOT / "docs" / "extending.md"
BLOCK = re.compile(r"^```(\w+) (run|file=\S+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture
def page(tmp_path, monkeypatch):
    """The page's commands, in a folder with its files: pairs of a command of ours and its words."""
    monkeypatch.chdir(tmp_path)
    commands = []
    for _, what, content in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        if what.startswith("file="):
            (tmp_path / what.removeprefix("file=")).write_text(content, encoding="utf-8")
            continue
        for line in content.replace("\\\n", " ").splitlines():
            if line.strip() and not line.startswith("#"):
                python, flag, module, *words = shlex.split(line, comments=True)
                assert (python, flag) == ("python", "-m")
                commands.append((module.removeprefix("src."), words))
    assert len(commands) >= 5
    return commands


def test_every_example_is_a_training_that_could_run(page):
    for module, words in page:
        if module == "train":
            jobs = expand(register([word for word in words if word != "-m"]))
            assert [job.problem for job in jobs if job.problem] == []


@pytest.mark.slow
def test_every_example_of_the_page_works(page, tmp_path):
    for module, words in page:
        warm_run(module, *words, cwd=tmp_path)
