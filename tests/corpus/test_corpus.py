"""Bad inputs, kept as data: each ends with one sentence that helps, in bounded time, and writes nothing it should not.

A file beside this one holds a family of inputs, a list of entries:

    words    command and words, as typed in a shell; `{folder}` is the working folder
    says     what the sentence holds, one text or several
    make     functions of `makers.py` with their arguments, which make the files; `run: {}` copies a finished run
    status   the exit status, if it is not 1
    env      environment variables
    leaves   names that may be new in the working folder afterwards

Each third entry is run by `make test`, each twelfth of those that need a run, and all of them by `make test-slow`.
"""

import shutil
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT, TINY, warm_run
from tests.corpus import makers

HERE = Path(__file__).parent
SECONDS = 120  # far above what any of them takes
CONFIGS = ("types", "values", "words")  # families that are told before torch is imported
NEEDS_RUN = ("run", "stored", "kept", "weight", "loop")


def needs_run(entry):
    made = entry.get("make") or {}
    names = list(made) if isinstance(made, dict) else [name for one in made for name in one]
    return any(name in NEEDS_RUN for name in names)


def entries():
    for file in sorted(HERE.glob("*.yaml")):
        for number, entry in enumerate(yaml.safe_load(file.read_text())):
            marks = [pytest.mark.slow] * (number % (12 if needs_run(entry) else 3) > 0)
            entry["light"] = file.stem in CONFIGS and not entry.get("make")
            yield pytest.param(entry, marks=marks, id=f"{file.stem}-{number}-{entry['words'][:60]}")


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A folder with a run of one epoch, and its data."""
    folder = tmp_path_factory.mktemp("corpus")
    warm_run("train", *TINY, "recipe.epochs=1", "variants=none", "panels=0", "name=good", cwd=folder)
    return folder


@pytest.mark.parametrize("entry", list(entries()))
def test_a_bad_input_ends_with_one_sentence(entry, tmp_path, request):
    folder = tmp_path / "work"
    folder.mkdir()
    made = entry.get("make") or {}
    if needs_run(entry):
        shutil.copytree(request.getfixturevalue("finished"), folder, dirs_exist_ok=True)
    for name, options in made.items() if isinstance(made, dict) else (pair for one in made for pair in one.items()):
        getattr(makers, name)(folder, **(options or {}))
    before = {path.relative_to(tmp_path) for path in tmp_path.rglob("*")}
    module, *words = split(entry["words"], folder)
    if "TINY" in words:
        words = [*TINY, *(word for word in words if word != "TINY")]
    elif needs_run(entry) and module in ("evaluate", "tune"):
        words.insert(0, f"plugins={ROOT}/tests/tiny.py")
    limit = {"SEGLAB_TEST_SECONDS": str(SECONDS)}
    options = {"status": entry.get("status", 1), "torch": not entry["light"], **limit, **entry.get("env", {})}
    done = warm_run(module, *words, cwd=folder, **options)
    lines = done.stderr.splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: ") and lines[0].isprintable(), done.stderr
    says = entry["says"]
    for text in [says] if isinstance(says, str) else says:
        assert text in lines[0]
    after = {path.relative_to(tmp_path) for path in tmp_path.rglob("*")}
    allowed = {"work", *(f"work/{name}" for name in entry.get("leaves", ()))}
    new = {path for path in after - before if not any(str(path).startswith(f"{name}") for name in allowed - {"work"})}
    assert not new and not before - after and not (folder / "fired").exists()


def split(line, folder):
    """The words of a line: as in a shell, but no quote, backslash or bracket in a word has a meaning."""
    if isinstance(line, list):
        return [str(word).replace("{folder}", str(folder)) for word in line]
    return line.replace("{folder}", str(folder)).split(" ")


def test_the_corpus_is_large_and_each_family_has_a_quick_third():
    families = {file.stem: yaml.safe_load(file.read_text()) for file in HERE.glob("*.yaml")}
    active = [entry for family in families.values() for entry in family]
    assert len(active) >= 200
    assert len({str(entry) for entry in active}) == len(active), "an entry is there twice"
