"""Our CRF beside the reference on real images; `make bench-crf` says the same of all forty."""

import numpy as np
import pytest

from src.crf import reference
from src.crf.cpu import meanfield
from src.crf.model import DenseCRF
from src.scoring import presets


@pytest.mark.parametrize(("preset", "step"), [("krahenbuhl2011", 8), ("deeplabv2", 20)])
def test_labels_and_probabilities_are_those_of_the_reference(scenes, preset, step):
    pytest.importorskip("pydensecrf")
    crf = DenseCRF(presets.parameters(presets.read(preset) | {"label_floor": 0.0}), "raw")
    for name in list(scenes)[::step]:
        probs, rgb = scenes[name]()
        (expected,), (found,) = reference.infer(probs, rgb, [crf]), meanfield.infer(probs, rgb, [crf])
        assert np.abs(found - expected).max() <= 1e-4, name
        second, first = np.sort(expected, axis=0)[-2:]
        assert (found.argmax(0) == expected.argmax(0))[first - second > 1e-4].all(), name


def test_the_default_label_floor_costs_next_to_no_label(scenes):
    default = presets.parameters(presets.read("krahenbuhl2011"))
    exact = presets.parameters(presets.read("krahenbuhl2011") | {"label_floor": 0.0})
    equal = []
    for read in list(scenes.values())[::10]:
        floored, all_labels = meanfield.infer(*read(), [DenseCRF(default, "raw"), DenseCRF(exact, "raw")])
        equal.append((floored.argmax(0) == all_labels.argmax(0)).mean())
    assert np.mean(equal) >= 0.9999
