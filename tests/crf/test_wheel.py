"""The dense CRF as a package of its own: a small wheel of pure Python that needs nothing of this project."""

import re
import subprocess
import sys
import venv
import zipfile

import pytest

from tests.conftest import ROOT, environment

LIBRARY = ROOT / "src" / "crf"
EXAMPLE = re.search(r"```python\n(import numpy.*?)```", (LIBRARY / "README.md").read_text(encoding="utf-8"), re.DOTALL)[
    1
]
ALONE = f"""
import sys
{EXAMPLE}
assert not [name for name in sys.modules if name.partition(".")[0] in ("torch", "src", "pydensecrf")]
"""


def call(*command, cwd, timeout=600):
    without_us = {key: value for key, value in environment().items() if key != "PYTHONPATH"}
    done = subprocess.run(command, cwd=cwd, env=without_us, capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.slow
def test_it_installs_into_an_empty_environment_and_passes_its_tests(tmp_path):
    call(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", tmp_path, LIBRARY, cwd=tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.endswith("-py3-none-any.whl") and wheel.stat().st_size < 200_000
    with zipfile.ZipFile(wheel) as content:
        (metadata,) = [name for name in content.namelist() if name.endswith("METADATA")]
        needs = re.findall(r"^Requires-Dist: (\w+)(?!.*extra)", content.read(metadata).decode(), re.MULTILINE)
        assert sorted(needs) == ["numba", "numpy"] and "permutocrf/py.typed" in content.namelist()
    venv.create(tmp_path / "empty", with_pip=True)
    python = tmp_path / "empty" / "bin" / "python"
    call(python, "-m", "pip", "install", "--quiet", wheel, cwd=tmp_path)
    call(python, "-c", ALONE, cwd=tmp_path)
    call(python, "-m", "pip", "install", "--quiet", "pytest", "hypothesis", cwd=tmp_path)
    program = [python, "-m", "pytest", "-p", "no:cacheprovider", "--pyargs", "permutocrf", "-m", "not slow"]
    assert " passed" in call(*program, cwd=tmp_path, timeout=1800)
    assert not (LIBRARY / "build").exists() and not list(LIBRARY.glob("*.egg-info"))
