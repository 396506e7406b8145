"""Programs written for pydensecrf, run as they are: once with it, once with the drop-in in its place."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ..conftest import LIBRARY, ROOT

pytestmark = pytest.mark.slow

CLIENTS = Path(__file__).with_name("clients")
NAMES = sorted(path.stem for path in CLIENTS.glob("*.py") if path.stem != "data")
RUN = """
import sys
sys.path[:0] = [ROOT, CLIENTS]
if INSTEAD:
    import importlib
    sys.modules["pydensecrf"] = importlib.import_module(LIBRARY + ".pydensecrf")
import numpy as np
for name in sys.argv[2:]:
    np.savez(f"{sys.argv[1]}/{name}.npz", **__import__(name).main())
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Per name of a module the folder with the results of all clients."""
    pytest.importorskip("pydensecrf", reason="pydensecrf2 is not installed")
    folders = {}
    for instead in (False, True):
        folder = folders[instead] = tmp_path_factory.mktemp("ours" if instead else "theirs")
        settings = {"ROOT": str(ROOT), "CLIENTS": str(CLIENTS), "INSTEAD": instead, "LIBRARY": LIBRARY}
        program = "\n".join(f"{name} = {value!r}" for name, value in settings.items()) + RUN
        command = [sys.executable, "-c", program, folder, *NAMES]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
    return folders


@pytest.mark.parametrize("name", NAMES)
def test_a_client_gets_the_same(results, name):
    theirs, ours = (np.load(results[instead] / f"{name}.npz") for instead in (False, True))
    assert set(theirs.files) == set(ours.files)
    for key in theirs.files:
        assert ours[key].dtype == theirs[key].dtype and ours[key].shape == theirs[key].shape, key
        if ours[key].dtype.kind == "f":
            assert np.abs(ours[key] - theirs[key]).max() <= 1e-4, key
    assert len(np.unique(theirs["labels"])) > 1
    assert (ours["labels"] == theirs["labels"]).mean() > 0.999
