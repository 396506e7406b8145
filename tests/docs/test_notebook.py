"""The example notebook runs from its first cell to its last."""

import json
import subprocess
import sys

import pytest

from tests.conftest import HANGS, ROOT, environment

NOTEBOOK = ROOT / "docs" / "predict.ipynb"
SMALL = '"recipe.epochs=1", "data.prepare.train=8", "data.prepare.val=4", "recipe.batch_size=4", '


@pytest.mark.slow
def test_the_notebook_runs_and_its_results_are_pictures(tmp_path):
    cells = [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]
    text = ["".join(cell["source"]) for cell in cells]
    assert sum('"name=demo"' in cell for cell in text) == 1
    program = "\n".join(text).replace('"name=demo"', SMALL + '"name=demo"')
    program += "\nfor result in (alone, crf):\n    assert result._repr_png_().startswith(b'\\x89PNG')\n"
    (tmp_path / "docs").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path / "docs", env=environment(), capture_output=True, text=True,
        timeout=HANGS,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "the CRF changed" in done.stdout and (tmp_path / "runs" / "labels.png").exists()


def test_no_cell_of_the_notebook_failed():
    outputs = [output for cell in json.loads(NOTEBOOK.read_text())["cells"] for output in cell.get("outputs", ())]
    assert outputs and all(output["output_type"] != "error" for output in outputs)
    assert not any("/tmp/" in json.dumps(output) for output in outputs)
