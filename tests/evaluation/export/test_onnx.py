"""The exported file gives the labels that were scored, alone and through `evaluate`."""

import json

import numpy as np
import pytest
import torch
import yaml

from src.core.names import CONF
from src.evaluation import build
from src.evaluation.export.compare import LEAST_EQUAL, on_sizes
from src.evaluation.export.graph import standalone, write_graph
from src.models.sources.onnx import OnnxNetwork
from src.models.tables import ARCHS
from tests.conftest import CPU, TINY, config, run

for module in ("onnx", "onnxscript", "onnxruntime"):
    pytest.importorskip(module, reason=f"needs {module}: pip install {module}")

CHEAT = """
import torch
from torch import nn
from src.models.backbones import Backbone
from src.models.tables import BACKBONES
from tests import tiny

@BACKBONES.add("cheat")
def cheat(model, *, output_stride, native_output_stride):
    made = tiny.backbone(model, output_stride=output_stride, native_output_stride=native_output_stride)
    made.register_forward_pre_hook(lambda _, images: images[0] * -9 if torch.compiler.is_compiling() else images)
    return made
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A working folder with a run, and with its network in `file/model.onnx` and `file/model-int8.onnx`."""
    cwd = tmp_path_factory.mktemp("onnx")
    run("train", *TINY, "recipe.epochs=2", "variants=standard", "trainer.precision=32-true", "name=net", cwd=cwd)
    return cwd, run("export", "run=runs/net", "int8=true", "calibration=4", "output=file", plugin(cwd), cwd=cwd)


def plugin(cwd):
    return TINY[6]


def described(cwd, name="model"):
    return yaml.safe_load((cwd / f"file/{name}.yaml").read_text())


def variants(folder):
    return json.loads((folder / "results.json").read_text())["variants"]


def test_it_is_scored_beside_the_network(exported):
    cwd, done = exported
    found = described(cwd)
    scored, score = variants(cwd / "runs/net")["none"]["miou"], found["score"]
    assert score["miou_torch"] == pytest.approx(scored, abs=1e-9) and score["miou"] == pytest.approx(scored, abs=1e-4)
    assert score["equal_labels"] >= LEAST_EQUAL and score["largest_difference"] < 1e-3 and score["images"] == 3
    assert score["sizes"]["equal_labels"] >= LEAST_EQUAL and len(score["sizes"]["height_width"]) == 2
    assert found["opset"] == 18 and found["protocol"] == "voc" and found["classes"]["void"] == 255
    assert len(found["classes"]["names"]) == len(found["classes"]["colours"]) == 21
    assert f"mIoU {100 * score['miou']:.4f} % (torch {100 * scored:.4f} %)" in done.stdout
    assert "ms per image" in done.stdout and "opset 18" in done.stdout


def test_int8_says_what_it_costs(exported):
    cwd, done = exported
    score = described(cwd, "model-int8")["score"]
    cost = score["cost"]
    assert cost["points"] == pytest.approx(100 * (score["miou"] - score["miou_torch"]), abs=1e-3)
    assert not {"low", "high"} & cost.keys()  # three images
    assert f"{cost['points']:+.2f} points (too few images for an interval)" in done.stdout


def test_the_file_alone_gives_labels_and_probabilities_of_any_size(exported):
    import onnxruntime

    session = onnxruntime.InferenceSession(str(exported[0] / "file/model.onnx"))
    assert [(one.name, one.type, one.shape) for one in session.get_inputs()] == [
        ("image", "tensor(uint8)", ["batch", "height", "width", 3])
    ]
    for shape in ((1, 33, 57, 3), (3, 80, 21, 3)):
        labels, probs = session.run(None, {"image": np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)})
        assert labels.shape == shape[:3] and labels.dtype == np.uint8 and probs.shape == (shape[0], 21, *shape[1:3])
        assert np.array_equal(labels, probs.argmax(1)) and np.allclose(probs.sum(1), 1, atol=1e-5)


def test_evaluate_gives_it_the_table_of_the_run(exported):
    cwd, _ = exported
    run("evaluate", "onnx=file/model.onnx", plugin(cwd), "output=table", "trainer=cpu", cwd=cwd)
    found, ours = variants(cwd / "table"), variants(cwd / "runs/net")
    assert list(found) == list(ours) and len(found) > 3
    for name, row in ours.items():
        assert found[name]["miou"] == pytest.approx(row["miou"], abs=2e-3), name


def test_evaluate_looks_at_an_image_several_times(exported):
    cwd, _ = exported
    words = ("variants=tta", plugin(cwd), "trainer=cpu", "trainer.precision=32-true")
    run("evaluate", "onnx=file/model.onnx", *words, "output=looks", cwd=cwd)
    run("evaluate", "run=runs/net", *words, "output=looks_ours", cwd=cwd)
    found, ours = variants(cwd / "looks"), variants(cwd / "looks_ours")
    assert found.keys() == ours.keys()
    assert [row["miou"] for row in found.values()] == pytest.approx([row["miou"] for row in ours.values()], abs=5e-3)


def test_a_file_without_its_yaml_needs_the_data(exported, tmp_path):
    cwd, _ = exported
    (tmp_path / "other.onnx").write_bytes((cwd / "file/model.onnx").read_bytes())
    words = [word for word in TINY if word.startswith("data")]
    run("evaluate", "onnx=other.onnx", *words, "variants=none", "output=alone", "trainer=cpu", cwd=tmp_path)
    found = variants(tmp_path / "alone")["none"]["miou"]
    assert found == pytest.approx(variants(cwd / "runs/net")["none"]["miou"], abs=2e-3)
    (tmp_path / "other.yaml").write_bytes((cwd / "file/model-int8.yaml").read_bytes())
    told = run("evaluate", "onnx=other.onnx", *words, plugin(cwd), cwd=tmp_path, status=1)
    assert "describes another file" in told.stderr


@pytest.mark.parametrize("content", [b"", b"no graph", b"\x08\x07" + bytes(200)])
def test_what_is_no_onnx_file_is_told(tmp_path, content):
    (tmp_path / "bad.onnx").write_bytes(content)
    told = run("evaluate", "onnx=bad.onnx", *(word for word in TINY if word.startswith("data")), cwd=tmp_path, status=1)
    assert "bad.onnx" in told.stderr and told.stderr.startswith("error: ") and "Traceback" not in told.stderr


def test_a_file_with_other_labels_is_not_kept(tmp_path):
    (tmp_path / "cheat.py").write_text(CHEAT)
    words = [word for word in TINY if not word.startswith(("plugins", "backbone.kind"))]
    mine = ("plugins=cheat.py", "backbone.kind=cheat")
    run("train", *words, *mine, "recipe.epochs=2", "variants=none", "name=net", cwd=tmp_path)
    told = run("export", "run=runs/net", mine[0], cwd=tmp_path, status=1)
    assert "so the file is not kept" in told.stderr
    assert list((tmp_path / "runs/net/export").iterdir()) == []


BACKBONES = sorted(path.stem for path in (CONF / "backbone").glob("*.yaml"))
TIMM = ["convnext_atto", "regnety_002", "test_efficientnet"]
NETWORKS = [
    *(f"backbone={backbone} head={head}" for backbone in BACKBONES for head in ("deeplabv3", "deeplabv3plus")),
    *(f"backbone=timm backbone.model={model} head=deeplabv3plus" for model in TIMM),
    "backbone=timm backbone.model=hrnet_w18_small head=deeplabv3plus head.output_stride=32",
    *(
        f"backbone=timm backbone.model=test_efficientnet head=smp head.arch={arch} head.output_stride={ARCHS[arch][-1]}"
        for arch in ARCHS
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize("words", NETWORKS)
def test_every_backbone_and_head_gives_its_labels(words, tmp_path):
    if "timm" in words:
        pytest.importorskip("timm", reason="needs timm: pip install timm")
    if "smp" in words:
        pytest.importorskip("segmentation_models_pytorch", reason="needs smp: pip install segmentation_models_pytorch")
    torch.manual_seed(0)
    task = build.scoring_task(config(*words.split(), "data=shapes", "backbone.weights=none"), CPU).eval()
    write_graph(standalone(task.network, mean=task.mean, std=task.std), tmp_path / "model.onnx")
    image = np.random.default_rng(0).integers(0, 256, (150, 150, 3), dtype=np.uint8)
    found = on_sizes(OnnxNetwork(tmp_path / "model.onnx", threads=1), task, image)
    assert found.equal >= LEAST_EQUAL and found.largest < 2e-3  # deep networks with random weights enlarge rounding
