"""`DenseCRF` and its terms: against the two-kernel engine, pydensecrf, sums over all pairs, and themselves."""

import numpy as np
import pytest

from ..cpu import meanfield
from ..cpu.vectors.jit import MOST_THREADS
from ..model import CRFParameters
from ..model import DenseCRF as TwoKernels
from ..pydensecrf import densecrf as ours
from ..pydensecrf.densecrf import DenseCRF as Dropin
from ..terms.densecrf import DenseCRF, run
from ..terms.kernels import Bilateral, Features, Gaussian
from ..terms.presets import PRESETS
from .conftest import LIBRARY, scene


def logits_of(probs):
    return np.log(probs) + 3


@pytest.mark.parametrize(
    ("name", "parameters"), [("krahenbuhl2011", (5, 3, 3, 80, 13, 10)), ("deeplabv2", (10, 1, 3, 67, 3, 4))]
)
@pytest.mark.parametrize("floor", [0.0, 0.6])
def test_a_preset_is_the_engine_of_the_experiments(name, parameters, floor):
    probs, rgb = scene(40, 52, 7)
    (expected,) = meanfield.infer(probs, rgb, [TwoKernels(CRFParameters(*parameters, floor), "raw")])
    found = DenseCRF(name, label_floor=floor)(probs, rgb)
    tolerance = {"krahenbuhl2011": 5e-6, "deeplabv2": 1e-4}[name]  # logarithms are rounded differently
    np.testing.assert_allclose(found, expected, atol=tolerance)
    assert PRESETS[name].source


def test_logits_are_probabilities_before_the_softmax():
    probs, rgb = scene(20, 30, 4)
    crf = DenseCRF("krahenbuhl2011")
    np.testing.assert_allclose(crf(logits_of(probs), rgb, logits=True), crf(probs, rgb), atol=1e-5)


def by_sums_over_all_pairs(probs, features, gains, normalization, iterations):
    """Mean field with a Gaussian kernel itself instead of a lattice."""
    kernel = np.exp(-0.5 * ((features[:, None] - features[None]) ** 2).sum(-1))
    n = kernel.sum(1)
    before = {"symmetric": n**-0.5, "before": 1 / n}.get(normalization, 1 + 0 * n)
    after = {"symmetric": n**-0.5, "after": 1 / n}.get(normalization, 1 + 0 * n)
    unary = np.log(probs.reshape(len(probs), -1))
    q = np.exp(unary)
    for _ in range(iterations):
        x = unary + gains @ ((q * before) @ kernel * after)
        q = np.exp(x - x.max(0))
        q /= q.sum(0)
    return q.reshape(probs.shape)


@pytest.mark.parametrize("normalization", ["symmetric", "before", "after"])
@pytest.mark.parametrize("kind", ["number", "per label", "matrix"])
def test_weights_compatibilities_and_normalisations_mean_what_they_say(normalization, kind):
    probs, _ = scene(18, 22, 3)
    y, x = np.mgrid[:18, :22]
    features = np.stack([y.ravel(), x.ravel()], 1) / 3
    costs = np.array([[0, 1, 2], [0.5, 0, 1], [1, 0.2, 0]])
    options, gains = {
        "number": ({"weight": 1.5}, 1.5 * np.eye(3)),
        "per label": ({"weight": [1, 2, 0.5]}, np.diag([1, 2, 0.5])),
        "matrix": ({"weight": 1.5, "compatibility": costs}, -1.5 * costs),
    }[kind]
    found = DenseCRF([Gaussian(3, normalization=normalization, **options)], iterations=1)(probs)
    np.testing.assert_allclose(found, by_sums_over_all_pairs(probs, features, gains, normalization, 1), atol=0.03)


def test_potts_is_one_minus_the_identity():
    probs, rgb = scene(20, 30, 4)
    both = [DenseCRF([Bilateral(20, 30, weight=4, **one)]) for one in ({}, {"compatibility": 1 - np.eye(4)})]
    # K 1 is about 1, and what all labels receive alike changes nothing
    np.testing.assert_allclose(*run(both, probs, rgb), atol=1e-4)


def test_terms_that_are_the_same_give_the_same():
    probs, rgb = scene(20, 32, 4)
    y, x = np.mgrid[:20, :32].astype(np.float32)
    terms = [
        Bilateral((30, 40), (10, 20, 30), weight=4),
        Features(np.dstack([x / 40, y / 30, rgb / np.float32([10, 20, 30])]), weight=4),
        Features(np.dstack([x, y, rgb]).reshape(-1, 5), (40, 30, 10, 20, 30), weight=4),
        Bilateral([30, 40], np.array([10.0, 20, 30]), weight=4),
    ]
    first, *others = run([DenseCRF([term]) for term in terms], probs, rgb)
    for other in others:
        np.testing.assert_allclose(other, first, atol=1e-5)


@pytest.mark.parametrize("dimensions", [1, 2, 3])
@pytest.mark.parametrize("d", [1, 4, 7])
def test_any_number_of_dimensions_is_the_drop_ins(dimensions, d):
    shape = (5, 6, 8)[-dimensions:]
    rng = np.random.default_rng(d)
    probs = np.moveaxis(rng.dirichlet(np.ones(3), shape), -1, 0).astype(np.float32)
    features = rng.normal(size=(*shape, d)).astype(np.float32)
    found = DenseCRF([Features(features, weight=3), Gaussian(2, weight=2)], iterations=4, dimensions=dimensions)(probs)
    assert found.shape == probs.shape
    crf = Dropin(int(np.prod(shape)), 3)
    crf.setUnaryEnergy(-np.log(probs))
    crf.addPairwiseEnergy(features.reshape(-1, d).T, compat=3)
    crf.addPairwiseEnergy(np.indices(shape).reshape(dimensions, -1)[::-1] / 2, compat=2)
    np.testing.assert_allclose(found.reshape(3, -1), crf.inference(4), atol=1e-5)


@pytest.mark.parametrize("dimensions", [7, 8, 11])
def test_hashed_lattices_are_the_reference_s(dimensions):
    theirs = pytest.importorskip("pydensecrf.densecrf", reason="pydensecrf2 is not installed")
    random = np.random.default_rng(0)
    features = np.ascontiguousarray(random.normal(size=(dimensions, 300)) * 30 / dimensions, np.float32)
    energies = random.random((4, 300), np.float32)
    found = []
    for module in (theirs, ours):
        made = module.DenseCRF(300, 4)
        made.setUnaryEnergy(energies)
        made.addPairwiseEnergy(features, compat=5)
        found.append(np.array(made.inference(5)))
    np.testing.assert_allclose(found[1], found[0], atol=1e-5)


def test_features_too_many_to_number_are_hashed():
    probs, _ = scene(12, 20, 3)
    features = np.random.default_rng(0).normal(size=(240, 8)) * 300  # no two points share a vertex
    assert np.isfinite(DenseCRF([Features(features, weight=3)])(probs)).all()
    near = np.repeat(features[:120], 2, axis=0)  # pairs of equal points, far from all others
    found = DenseCRF([Features(near, weight=200)], iterations=10)(probs).reshape(3, 120, 2)
    assert (found.argmax(0)[:, 0] == found.argmax(0)[:, 1]).all()


def test_batches_lists_and_models_are_one_by_one():
    scenes = [scene(24, 37, 5), scene(24, 37, 5, seed=1)]
    odd = scene(10, 12, 5, seed=2)
    models = [DenseCRF("krahenbuhl2011"), DenseCRF([Gaussian(2, weight=[1, 2, 3, 4, 5.0])], label_floor=0.5)]
    probs, rgb = (np.stack(parts) for parts in zip(*scenes, strict=True))
    for model, together in zip(models, run(models, probs, rgb), strict=True):
        assert together.shape == probs.shape
        for one, (p, image) in zip(together, scenes, strict=True):
            np.testing.assert_array_equal(one, model(p, image))
        listed = model([*probs, odd[0]], [*rgb, odd[1]])
        np.testing.assert_array_equal(listed[2], model(*odd))


def test_equal_bits_whatever_the_number_of_threads(monkeypatch):
    probs, rgb = scene(150, 260, 6)
    crf = DenseCRF([Bilateral(30, 20, compatibility=1 - np.eye(6)), Gaussian(3, normalization="after")])
    answers = []
    for threads in (1, 2, MOST_THREADS):
        monkeypatch.setattr(f"{LIBRARY}.cpu.vectors.jit.MOST_THREADS", threads)
        answers.append(crf(probs, rgb).tobytes())
    assert len(set(answers)) == 1


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="torch is not installed")


def test_tensors_give_tensors_of_the_same_values(torch):
    probs, rgb = scene(20, 30, 4)
    crf = DenseCRF("deeplabv2")
    found = crf(torch.from_numpy(probs), torch.from_numpy(rgb))
    assert isinstance(found, torch.Tensor) and found.dtype == torch.float32
    np.testing.assert_array_equal(found.numpy(), crf(probs, rgb))
    batch = crf(torch.from_numpy(probs)[None], rgb[None])
    assert tuple(batch.shape) == (1, *probs.shape)


@pytest.mark.parametrize("logits", [False, True])
def test_torch_computes_the_same_on_any_device(torch, logits):
    from ..terms.on_torch import run_on_device

    scenes = [scene(24, 37, 5), scene(10, 12, 5, seed=2)]
    values = [logits_of(probs) if logits else probs for probs, _ in scenes]
    models = [
        DenseCRF("krahenbuhl2011"),
        DenseCRF([Bilateral(30, 20, compatibility=1 - np.eye(5), weight=4, normalization="before")], label_floor=0.97),
        DenseCRF([Gaussian(3, weight=[1, 2, 3, 4, 5.0], normalization="after")]),
        DenseCRF([Gaussian(2, weight=0.05, normalization="none")]),
        DenseCRF([]),
    ]
    device = "cuda" if torch.cuda.is_available() else "cpu"
    found = run_on_device(
        models, [torch.from_numpy(v).to(device) for v in values], [rgb for _, rgb in scenes], logits=logits
    )
    for one, value, (_, rgb) in zip(found, values, scenes, strict=True):
        for answer, expected in zip(one, run(models, value, rgb, logits=logits), strict=True):
            np.testing.assert_allclose(answer.cpu().numpy(), expected, atol=1e-4)


PROBS = np.full((2, 3, 4), 0.5, np.float32)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: DenseCRF("deeplab"), "krahenbuhl2011, deeplabv2"),
        (lambda: DenseCRF([], iterations=-1), "iterations=-1"),
        (lambda: DenseCRF([], label_floor=1), "label_floor=1"),
        (lambda: DenseCRF([])(PROBS * 9), "take the softmax"),
        (lambda: DenseCRF([])(PROBS * np.nan), "finite"),
        (lambda: DenseCRF([])(PROBS * np.nan, logits=True), "finite"),
        (lambda: DenseCRF([])(PROBS[0]), r"\(C, H, W\)"),
        (lambda: DenseCRF([])([PROBS[0]]), "2 further axes"),
        (lambda: DenseCRF([])([PROBS], [PROBS, PROBS]), "as many images"),
        (lambda: DenseCRF([Bilateral(3, 3)])(PROBS), "needs the image"),
        (lambda: DenseCRF([Bilateral(3, 3)])(PROBS, np.zeros((4, 3, 3))), "image must be"),
        (lambda: DenseCRF([Bilateral(3, (3, 3))])(PROBS, np.zeros((3, 4, 3))), "sigma_color"),
        (lambda: DenseCRF([Gaussian(0)])(PROBS), "sigma=0"),
        (lambda: DenseCRF([Gaussian((1, 2, 3))])(PROBS), "or 2 of them"),
        (lambda: DenseCRF([Gaussian(1, weight=[1, 2, 3])])(PROBS), "2 labels"),
        (lambda: DenseCRF([Gaussian(1, compatibility=np.eye(3))])(PROBS), "2 labels"),
        (lambda: DenseCRF([Gaussian(1, weight=np.inf)])(PROBS), "finite"),
        (lambda: Gaussian(1, normalization="both"), "normalization=both"),
        (lambda: DenseCRF([Features(np.zeros((11, 2)))])(PROBS), "N = 12"),
        (lambda: run([], PROBS), "there must be one"),
    ],
)
def test_what_does_not_fit_is_refused_with_a_sentence(wrong, words):
    with pytest.raises(ValueError, match=words):
        wrong()
