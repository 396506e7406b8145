"""The pages: links lead somewhere, commands exist, the reference is up to date, the worked examples work."""

import re
import shlex
from functools import cache
from importlib.util import find_spec

import pytest
from hydra import compose
from omegaconf import OmegaConf

from docs.reference import TARGET, page
from src.core.command.entry import _gathered
from src.core.compose import composing
from src.runs.checks.commands import check_train, prepare
from tests.conftest import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "experiments").glob("*.md")])
PAGES += [ROOT / "benchmarks" / "README.md", ROOT / "src" / "crf" / "README.md"]
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
FENCED = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def names(path):
    return str(path.relative_to(ROOT))


def anchors(text):
    """Those that a heading has on GitHub."""
    heads = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def commands(text):
    """Lines of code blocks, and code in sentences, that start with a command of ours."""
    blocks = FENCED.findall(text)
    shell = [content for kind, content in blocks if not kind.startswith(("python", "yaml"))]
    lines = [line for content in shell for line in content.replace("\\\n", " ").splitlines()]
    prose = FENCED.sub("", text)
    lines += re.findall(r"`((?:python -m src|make )[^`]*)`", prose)
    return [line.partition("  #")[0].strip() for line in lines if re.search(r"(?:-m src\b|^make )", line)]


def test_the_reference_is_up_to_date_and_explains_every_key():
    assert TARGET.read_text(encoding="utf-8") == page(), "conf/ has changed: make reference"
    assert not re.search(r"\|\s*\|$", page(), re.MULTILINE), "a key or a file without a comment"


@pytest.mark.parametrize("path", PAGES, ids=names)
def test_links_lead_somewhere(path):
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        linked = (path.parent / file).resolve() if file else path
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked.read_text(encoding="utf-8")), target


@pytest.mark.parametrize("path", PAGES, ids=names)
def test_commands_are_ones_that_exist(path):
    with composing():
        _check_all(path)


def _check_all(path):
    for line in commands(path.read_text(encoding="utf-8")):
        if line.startswith("make "):
            assert line.split()[1].rstrip(",.") in TARGETS | {"-n"}, line
            continue
        called = re.search(r"-m src\.(\w+)(.*)", line)
        if called is None or path.name == "extending.md":  # `python -m src` by itself; a page that is executed whole
            continue
        door, words = called[1], shlex.split(called[2])
        assert (ROOT / "src" / f"{door}.py").is_file(), line
        _composes(door, [word for word in words if "=" in word and not _own(word)], line)


@cache
def _trains(words):
    """Raise where `src.train` would, for the first job of a sweep; each command of the pages once."""
    first = [word if set(word) & set("[{'") else word.partition(",")[0] for word in words]
    config = compose("train", overrides=first)
    prepare(config)
    check_train(config)


def _own(word):
    """Whether a word names something that the reader has to fill in, or a file of theirs."""
    key, _, value = word.partition("=")
    return key in ("plugins", "hydra/launcher") or key.startswith("hydra.") or value.endswith((".yaml", ".yml", ".pth"))


EXTRAS = {"backbone=timm": "timm", "head=deeplabv3plus,smp": "segmentation_models_pytorch"}  # not installed everywhere


def _composes(door, words, line):
    words = [word for word in words if not word.endswith("=NAME")]
    if any(find_spec(module) is None for word, module in EXTRAS.items() if word in words):
        return
    try:
        if door == "train":
            _trains(tuple(words))
            return
        if door in ("report", "plan"):
            words = _gathered(words, door, "options")
        OmegaConf.to_container(compose(door, overrides=words))
    except Exception as error:
        raise AssertionError(f"{line}: {error}") from error
