import time
from types import SimpleNamespace

import torch

from src.crf.engines import NumbaEngine
from src.crf.model import DenseCRF
from src.evaluation.scoring.costs import multiply_adds, seconds
from src.scoring import presets
from src.scoring.variants import Variant
from tests.runs.test_configs import config


def test_multiply_adds_are_those_of_the_definition():
    layers = [torch.nn.Conv2d(3, 8, 3, padding=1, stride=2), torch.nn.BatchNorm2d(8), torch.nn.Conv2d(8, 5, 1)]
    found = multiply_adds(torch.nn.Sequential(*layers), 9, torch.device("cpu"))
    assert found == 5 * 5 * (3 * 3 * 3 * 8) + 5 * 5 * (8 * 5)


def test_a_variant_takes_the_time_of_its_network_and_its_crf(monkeypatch):
    now = iter(range(10**6))  # a second passes at each look at the clock
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(now)))
    engine = NumbaEngine(1, beside=False)
    monkeypatch.setattr(engine, "_run", lambda probs, rgb, models: [[probs[0] for _ in models]])
    crf = DenseCRF(presets.parameters(config("crf=deeplabv2").crf), "raw")
    variants = {"none": Variant(), "crf": Variant(crf), "fill": Variant(crf, lambda before, after: before.argmax(0))}
    scorer = SimpleNamespace(variants=variants, inferences=(variants["none"].inference,), engine=engine)
    sample = {"rgb": torch.zeros(4, 5, 3, dtype=torch.uint8)}
    probs = torch.full((2, 4, 5), 0.5)
    timed = seconds(scorer, [sample] * 3, lambda sample, inference: probs, timed=True)
    assert timed == {"none": 2.0, "crf": 3.0, "fill": 3.0}  # a look, a CRF, labels: one second each
    assert seconds(scorer, [sample], lambda *_: probs, timed=False) == {"none": 1.0, "crf": 2.0, "fill": 2.0}
