"""What is compiled, how often, and by whom: fresh processes with a cache of their own."""

import json
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ..cpu import ahead, cache, meanfield
from ..cpu.cache import SOURCES
from .conftest import LIBRARY, ROOT, model, scene

ENTRIES = """
import importlib, json
names = (
    "vectors.jit", "lattices.lattice", "lattices.joining", "lattices.construction", "planes", "meanfield"
)
modules = [importlib.import_module(f"LIBRARY.cpu.{name}") for name in names]
found = {key: value for module in modules for key, value in vars(module).items() if hasattr(value, "stats")}
"""
COUNT = ENTRIES + "print(json.dumps({k: [len(d.signatures), len(d.stats.cache_misses)] for k, d in found.items()}))"
IMAGES = """
from LIBRARY.cpu import meanfield
from LIBRARY.tests.conftest import model, scene
for labels in (5, 12, 21):
    meanfield.infer(*scene(24, 37, labels), [model()])
"""


def run(program, cache):
    """What a fresh process prints."""
    done = subprocess.run(
        [sys.executable, "-c", program.replace("LIBRARY", LIBRARY)], cwd=ROOT,
        env=os.environ | {"NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A cache that a background process has filled while a call waited for it, and what that call had to compile."""
    cache = tmp_path_factory.mktemp("cache")
    start = "from LIBRARY.cpu import ahead\nahead.PATIENCE = 280\nahead.start()\nassert ahead._process\n"
    return cache, run(start + IMAGES + COUNT, cache)


@pytest.mark.slow
def test_a_call_waits_for_the_process_that_compiles(filled):
    _, counts = filled
    assert all(compiled == 0 for _, compiled in json.loads(counts).values())


@pytest.mark.slow
def test_a_filled_cache_leaves_nothing_to_compile(filled):
    cache, _ = filled
    assert run("from LIBRARY.cpu import meanfield; print(meanfield.is_compiled())", cache) == "True"
    counts = json.loads(run(IMAGES + COUNT, cache))
    assert all(compiled == 0 for _, compiled in counts.values())


@pytest.mark.slow
def test_only_what_depends_on_the_number_of_labels_is_compiled_again(filled):
    cache, _ = filled
    versions = {name: count for name, (count, _) in json.loads(run(IMAGES + COUNT, cache)).items() if count}
    assert versions.pop("_mean_field") == 3
    assert "_locate" in versions and set(versions.values()) == {1}


@pytest.mark.slow
def test_a_filled_cache_starts_nothing_and_imports_nothing(filled):
    cache, _ = filled
    program = "import sys; from LIBRARY.cpu import ahead; ahead.start(); print(ahead._process, 'numpy' in sys.modules)"
    assert run(program, cache) == "None False"
    program = "import sys; import LIBRARY.cpu.meanfield; print('torch' in sys.modules)"
    assert run(program, cache) == "False"


@pytest.fixture
def child(monkeypatch):
    """A process in the place of the one that compiles, which never ends by itself."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    monkeypatch.setattr(ahead, "_process", process)
    monkeypatch.setattr(ahead, "mark", lambda kept, width: kept / "never")
    yield process
    process.kill()
    process.wait()


def test_a_killed_process_does_no_harm(child):
    child.kill()
    assert meanfield.infer(*scene(5, 6, 3), [model()])[0].shape == (3, 5, 6)
    assert ahead._process is None


def test_a_process_that_gets_no_time_is_given_up(child, monkeypatch):
    monkeypatch.setattr(ahead, "PATIENCE", 0)
    meanfield.infer(*scene(5, 6, 3), [model()])
    assert child.poll() is not None and ahead._process is None


def test_other_widths_are_not_waited_for(child):
    ahead.wait(64)
    assert child.poll() is None


@pytest.mark.parametrize("place", [None, "a file"])
def test_a_cache_that_cannot_be_written_does_no_harm(place, tmp_path, monkeypatch):
    (tmp_path / "a file").touch()
    monkeypatch.setattr(ahead, "folder", lambda: place and tmp_path / place)
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "a file"))
    monkeypatch.setattr(ahead, "_process", None)
    monkeypatch.setattr(cache, "folder", lambda: place and tmp_path / place / "inside")
    with cache.locked("save"):
        pass
    ahead.start()
    assert (ahead._process is None) == (place is None)
    ahead.wait()
    assert ahead._process is None


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc")
def test_it_ends_with_its_parent(tmp_path):
    program = (
        "import os; from LIBRARY.cpu import ahead; ahead.start(); print(ahead._process.pid, flush=True); os._exit(0)"
    )
    child = int(run(program, tmp_path))
    state = Path(f"/proc/{child}/stat")
    until = time.monotonic() + 60
    while state.exists() and state.read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < until
        time.sleep(0.1)


def test_the_folder_is_named_after_all_that_is_compiled():
    compiled = re.compile(
        r"^(import|from) (numba|llvmlite)\b|^from \.+(cpu\.)?(vectors\.)?jit import .*\b(inner|entry)\b", re.MULTILINE
    )
    library = Path(__file__).parents[1]
    files = [path for path in library.rglob("*.py") if compiled.search(path.read_text(encoding="utf-8"))]
    assert {path.relative_to(library).with_suffix("").as_posix() for path in files} == set(SOURCES)


@pytest.mark.slow
def test_processes_that_compile_at_once_keep_each_others_code(tmp_path):
    """Numba numbers files of code: with one number for two widths of rows, a later process would run the wrong code."""
    program = (
        "from LIBRARY.cpu import meanfield\nfrom LIBRARY.tests.conftest import model, scene\n"
        "meanfield.infer(*scene(24, 37, LABELS), [model()])\n"
        "file = meanfield._mean_field._cache._cache_file\n"
        "print(sorted(file._load_index().values()))"
    )
    with ThreadPoolExecutor() as pool:
        together = [program.replace("LABELS", str(labels)) for labels in (5, 12, 21)]
        list(pool.map(lambda one: run(one, tmp_path), together))
    kept = run(program.replace("LABELS", "5"), tmp_path)
    assert len(set(re.findall(r"_mean_field[^']*", kept))) == 3
