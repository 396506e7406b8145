"""The torch back end on CPU tensors, the same path that a GPU takes."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from ...cpu import meanfield
from ...gpu import meanfield as gpu
from ..conftest import model, scene

MIXED = [scene(24, 37, 6), scene(40, 20, 6, seed=1), scene(1, 64, 6, seed=2), scene(52, 1, 6, seed=3)]


def infer(scenes, models):
    answers = gpu.infer([torch.from_numpy(probs) for probs, _ in scenes], [rgb for _, rgb in scenes], models)
    return [[q.numpy() for q in image] for image in answers]


@pytest.mark.parametrize("changes", [{}, {"iterations": 10, "spatial_sigma": 1, "bilateral_sigma_rgb": 3}])
@pytest.mark.parametrize("number", range(4))
def test_it_is_the_reference(reference, number, changes):
    probs, rgb = MIXED[number]
    crf = model(**changes)
    ((found,),) = infer([(probs, rgb)], [crf])
    np.testing.assert_allclose(found, reference(probs, rgb, crf.parameters), atol=1e-4)


def test_a_batch_of_all_sizes_and_models_is_one_by_one_on_the_cpu():
    models = [model(), model("normalized_uint8"), model(iterations=0), model(label_floor=0.6), model(spatial_weight=0)]
    for (probs, rgb), together in zip(MIXED, infer(MIXED, models), strict=True):
        for one, expected in zip(together, meanfield.infer(probs, rgb, models), strict=True):
            np.testing.assert_allclose(one, expected, atol=1e-4)
            np.testing.assert_allclose(one.sum(0), 1, atol=1e-5)


def test_each_image_of_a_batch_drops_labels_of_its_own():
    scenes = [(probs.copy(), rgb) for probs, rgb in MIXED[:2]]
    for (probs, _), rare in zip(scenes, (1, 4), strict=True):
        probs[rare] = 0
        probs *= 0.995 / probs.sum(0)
        probs[rare] = 0.005
    (first,), (second,) = infer(scenes, [model(label_floor=0.01)])
    assert (first[1] == 0).all() and (first[4] > 0).any() and (second[4] == 0).all() and (second[1] > 0).any()


@pytest.mark.parametrize("labels", [1, 2, 21])
def test_a_single_colour_and_any_number_of_labels(labels):
    probs, rgb = scene(12, 20, labels)
    ((found,),) = infer([(probs, np.zeros_like(rgb))], [model()])
    (expected,) = meanfield.infer(probs, np.zeros_like(rgb), [model()])
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_inputs_are_not_modified():
    probs, rgb = scene(12, 20, 5)
    given = torch.from_numpy(probs.copy())
    gpu.infer([given], [rgb], [model()])
    assert (given.numpy() == probs).all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_gives_the_same_labels():
    found = gpu.infer([torch.from_numpy(p).cuda() for p, _ in MIXED], [rgb for _, rgb in MIXED], [model()])
    for (probs, rgb), (q,) in zip(MIXED, found, strict=True):
        (expected,) = meanfield.infer(probs, rgb, [model()])
        assert (q.argmax(0).cpu().numpy() == expected.argmax(0)).mean() >= 0.999
