"""Every engine gives the same answer, and none needs another's package."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from src.core.errors import InputError
from src.crf.engines import ENGINES
from src.crf.errors import CRFError
from src.evaluation import build
from src.runs.checks.commands import check_crf
from tests.conftest import CPU, HANGS, config, environment
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


@pytest.mark.slow
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


@pytest.fixture
def scarce(monkeypatch):
    """Memory for two images at a time; holds the sizes of the batches that were tried."""
    from src.crf.gpu import meanfield as gpu

    whole, tried = gpu.infer, []

    def infer(probs, rgb, models):
        tried.append(len(probs))
        if len(probs) > infer.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return whole(probs, rgb, models)

    infer.most = 2
    monkeypatch.setattr(gpu, "infer", infer)
    return infer, tried, whole


def test_a_batch_that_does_not_fit_is_halved_with_the_same_answers(scarce):
    infer, tried, whole = scarce
    engine = ENGINES["torch"]("cpu", 1)
    probs, rgb = [torch.from_numpy(p) for p, _ in SCENES * 3], [image for _, image in SCENES * 3]
    models = [model(), model("normalized", iterations=2)]
    found = engine.submit(probs[:5], rgb[:5], models).result()
    assert tried == [5, 2, 3, 1, 2] and engine.batch == 1
    for image, expected in zip(found, whole(probs[:5], rgb[:5], models), strict=True):
        for one, other in zip(image, expected, strict=True):
            np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-6)
    infer.most = 0
    with pytest.raises(CRFError, match=r"single image of 24 x 37 px; crf\.engine=numba"):
        engine.submit(probs, rgb, models).result()
    engine.close(cancel=True)


def test_an_image_that_does_not_fit_into_main_memory_is_a_sentence(monkeypatch):
    def infer(*_, **__):
        raise MemoryError

    monkeypatch.setattr("src.crf.cpu.meanfield.infer", infer)
    engine = ENGINES["numba"]("cpu", 1)
    with pytest.raises(CRFError, match="single image of 3 x 4 px; run fewer jobs"):
        engine.submit([torch.ones(1, 3, 4)], [np.zeros((3, 4, 3), np.uint8)], []).result()


@pytest.mark.parametrize(("engine", "batch", "found"), [("torch", 3, 3), ("torch", None, 16), ("numba", 3, 1)])
def test_the_config_sets_the_batch_of_an_engine_that_has_one(engine, batch, found):
    settled = config(f"crf.engine={engine}", f"crf.batch={'null' if batch is None else batch}")
    made = build.engine(settled, CPU)
    assert made.batch == found
    made.close(cancel=True)


@pytest.mark.parametrize("batch", [0, 1025, 2.5, True, "x"])
def test_a_batch_that_is_none_is_refused(batch):
    with pytest.raises(InputError, match=rf"crf\.batch={str(batch).lower()}: must be a"):
        check_crf(config(f"crf.batch={batch}").crf)
