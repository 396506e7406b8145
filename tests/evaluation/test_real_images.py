"""The figures that the sample's own description gives, computed there with NumPy alone."""

import json

import pytest

from tests.conftest import warm_run as run


def test_saved_logits_score_as_documented(sample, tmp_path):
    voc = sample / "voc2012_sample"
    done = run(
        "evaluate", f"logits={voc / 'logits_espnetv2'}", f"data.root={voc}", "output=out", "variants=none", cwd=tmp_path
    )
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results["images"] == 40
    assert 100 * results["variants"]["none"]["miou"] == pytest.approx(62.9160, abs=5e-5)
    assert 100 * results["variants"]["none"]["pixel_accuracy"] == pytest.approx(91.4079, abs=5e-5)
    assert results["variants"]["none"]["iou"]["motorbike"] is None
    assert "62.9160" in done.stdout and "91.4079" in done.stdout


def test_missing_logits_are_named(sample, tmp_path):
    voc = sample / "voc2012_sample"
    (tmp_path / "logits").mkdir()
    done = run("evaluate", "logits=logits", f"data.root={voc}", cwd=tmp_path, status=1)
    assert ".npz: missing" in done.stderr and "Traceback" not in done.stderr
