import shutil

import pytest

from tests.conftest import TINY
from tests.conftest import warm_run as run


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A working folder with a run of a network as it came, `runs/A`; its labels are of many classes."""
    cwd = tmp_path_factory.mktemp("predict")
    run("train", *TINY, "recipe.epochs=0", "data.prepare.width=80", "name=A", cwd=cwd)
    return cwd


@pytest.fixture
def here(trained, tmp_path):
    """A working folder of its own with this run, and the images of its val list in `photos`."""
    shutil.copytree(trained / "runs", tmp_path / "runs")
    (tmp_path / "photos").mkdir()
    for name in (trained / "runs" / "A" / "splits" / "val.txt").read_text().split():
        (found,) = trained.rglob(f"{name}.jpg")
        shutil.copy(found, tmp_path / "photos")
    return tmp_path
