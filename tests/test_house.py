"""What the tree promises to a reader: few entries a room, short files, names instead of import paths."""

import ast
import importlib
import importlib.util
import re

import pytest

from tests.conftest import ROOT

SRC = ROOT / "src"
ROOMS = ["core", "crf", "data", "models", "scoring", "runs", "reporting", "evaluation", "training"]
LIBRARY = SRC / "crf"  # a library of its own, with what belongs to one
AROUND = ["pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", "py.typed", "tests"]
MODULES = sorted(path for path in SRC.rglob("*.py") if LIBRARY / "tests" not in path.parents)


def entries(folder):
    around = AROUND if folder == LIBRARY else []
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("_") and path.name not in around)


def test_opening_the_source_shows_doors_and_nine_rooms():
    assert [path for path in entries(SRC) if (SRC / path).is_dir()] == sorted(ROOMS)
    for door in (path for path in SRC.glob("*.py") if not path.name.startswith("_")):
        lines = door.read_text().splitlines()
        assert len(lines) <= 80 and "@command(" in door.read_text()


@pytest.mark.parametrize(
    "room", sorted(path for path in SRC.rglob("*") if path.is_dir() and "__pycache__" not in path.parts), ids=str
)
def test_no_room_has_more_than_nine_entries(room):
    assert len(entries(room)) <= 9


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(SRC)))
def test_modules_are_short_and_packages_bring_nothing_in(module):
    text = module.read_text()
    assert len(text.splitlines()) <= 250
    if module.name == "__init__.py" and module.parent not in (SRC, LIBRARY):
        assert len(ast.parse(text).body) == 1, "a docstring only: imports here would slow every command down"


def opens_text_in_the_locale(call):
    """Whether a call opens a file as text without saying in which encoding; the default is the locale's."""
    is_method = isinstance(call.func, ast.Attribute)
    name = call.func.attr if is_method else getattr(call.func, "id", "")
    given = {word.arg: ast.unparse(word.value) for word in call.keywords}
    if name == "open":  # `Image.open(path)` and the like have no mode in the first place
        modes = [ast.unparse(word) for word in call.args[0 if is_method else 1 :]] or ["'r'"]
        text = re.fullmatch(r"'[rwxa+t]+'", given.get("mode", modes[0])) is not None
    else:
        ours = name == "read_text" and not is_method  # of `src.core.files`: always UTF-8
        is_binary = name == "fdopen" and "b" in ast.unparse(call.args[-1])
        named = name in ("read_text", "write_text", "fdopen") and not ours and not is_binary
        text = named or given.get("text") == "True"
    return text and "encoding" not in given


def test_every_text_file_has_a_stated_encoding():
    calls = [(m, n) for m in MODULES for n in ast.walk(ast.parse(m.read_text())) if isinstance(n, ast.Call)]
    assert not [f"{module}:{call.lineno}" for module, call in calls if opens_text_in_the_locale(call)]


@pytest.mark.parametrize("code", ["p.read_text()", "p.open()", "p.open('w')", "open(p)", "run(words, text=True)"])
def test_the_search_for_encodings_finds(code):
    assert opens_text_in_the_locale(ast.parse(code, mode="eval").body)


def test_configs_and_code_hold_no_import_paths():
    files = [*MODULES, *(ROOT / "conf").rglob("*.yaml"), *(ROOT / "experiments").rglob("*.yaml")]
    assert not [path for path in files if re.search(r"_target_|instantiate\(", path.read_text())]


def test_every_benchmark_finds_what_it_imports_of_ours():
    for path in (ROOT / "benchmarks").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("src"):
                module = importlib.import_module(node.module)
                for name in (alias.name for alias in node.names):
                    assert hasattr(module, name) or importlib.util.find_spec(f"{node.module}.{name}"), f"{path}: {name}"


def test_nothing_on_the_screen_is_read_as_markup():
    """Names of strangers are text: Rich would read `[...]` in them, and raise or hide it."""
    plain = {"Console": {"markup", "emoji"}, "TextColumn": {"markup"}, "get_console().print": {"markup"}}
    for module in MODULES:
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.Call):
                off = {word.arg for word in node.keywords if getattr(word.value, "value", None) is False}
                assert off >= plain.get(ast.unparse(node.func), set()), f"{module}, line {node.lineno}"
        assert not re.search(r"from_markup|\[/?(bold|red|green|dim|cyan)\b", module.read_text()), module
