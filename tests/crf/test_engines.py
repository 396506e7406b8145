"""Every engine gives the same answer, and none needs another's package."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from src.crf.engines import ENGINES
from tests.conftest import HANGS, environment
from tests.conftest import warm_run as run
from tests.crf.conftest import model, scene

SCENES = [scene(24, 37, 5), scene(40, 20, 5, seed=1)]


@pytest.fixture(params=[*sorted(ENGINES), "numba beside a GPU"])
def engine(request):
    name, _, beside = request.param.partition(" beside a ")
    if name == "pydensecrf":
        pytest.importorskip("pydensecrf")
    made = ENGINES[name]("cuda" if beside else "cpu", 1)
    assert (made.ahead > 0) == (made.device.type != "cpu" or name not in ("auto", "numba") or bool(beside))
    yield made
    made.close(cancel=False)


def test_engines_agree_on_batches(engine):
    models = [model(), model("normalized", iterations=2)]
    batches = [SCENES] if engine.batch > 1 else [[one] for one in SCENES]
    answers = [
        engine.submit([torch.from_numpy(p) for p, _ in batch], [rgb for _, rgb in batch], models) for batch in batches
    ]
    found = [image for answer in answers for image in answer.result()]
    exact = ENGINES["numba"]("cpu", 1)
    for (probs, rgb), image in zip(SCENES, found, strict=True):
        (expected,) = exact.submit([torch.from_numpy(probs)], [rgb], models).result()
        for one, other in zip(image, expected, strict=True):
            np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-4)
    exact.close(cancel=False)


def test_bad_input_comes_out_of_the_future(engine):
    probs, rgb = torch.full((2, 3, 4), 5.0), np.zeros((3, 4, 3), np.uint8)
    with pytest.raises(ValueError, match="take the softmax"):
        engine.submit([probs], [rgb], [model()]).result()


def test_the_network_keeps_its_threads(monkeypatch):
    """Numba's OpenMP gives the thread that calls it all cores; of several processes each has but its share of them."""
    threads = torch.get_num_threads()
    monkeypatch.setattr("src.crf.cpu.meanfield.infer", lambda *_, **__: torch.set_num_threads(threads + 1) or [])
    engine = ENGINES["numba"]("cpu", 1)
    engine.submit([torch.ones(1, 2, 2)], [np.zeros((2, 2, 3), np.uint8)], []).result()
    assert torch.get_num_threads() == threads


def test_without_pydensecrf_only_its_engine_is_gone(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['pydensecrf'] = None\n")
    without = environment() | {"PYTHONPATH": f"{tmp_path}:{environment()['PYTHONPATH']}"}
    command = [sys.executable, "-m", "src.train", "crf.engine=pydensecrf"]
    done = subprocess.run(command, env=without, cwd=tmp_path, capture_output=True, text=True, timeout=HANGS)
    assert done.returncode == 1 and "pip install pydensecrf2" in done.stderr and "Traceback" not in done.stderr
    program = "import src.crf.cpu.meanfield, src.crf.engines, src.train, src.evaluate, src.scoring.scorer"
    subprocess.run([sys.executable, "-c", program], env=without, cwd=tmp_path, check=True, timeout=HANGS)


@pytest.mark.slow
def test_the_reference_serves_the_command(tmp_path):
    pytest.importorskip("pydensecrf")
    from tests.conftest import TINY

    done = run("train", *TINY, "recipe.epochs=0", "crf.engine=pydensecrf", "name=reference", cwd=tmp_path)
    assert "crf_raw_fill" in done.stdout
