"""The drop-in beside pydensecrf, over all that can be asked of it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ...pydensecrf import densecrf, utils

reference = pytest.importorskip("pydensecrf.densecrf", reason="pydensecrf2 is not installed")
from pydensecrf import utils as reference_utils

many = settings(max_examples=60, deadline=None)
weights = st.floats(-3, 8, width=32)


@st.composite
def compatibilities(draw, labels):
    kind = draw(st.sampled_from(["number", "vector", "matrix"]))
    if kind == "number":
        return draw(weights)
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    shape = (labels,) if kind == "vector" else (labels, labels)
    return rng.uniform(-4, 1.5, shape).astype(np.float32)


@st.composite
def terms(draw, labels, height, width):
    """A function that adds a pairwise term to a CRF of either module."""
    compat = draw(compatibilities(labels))
    kernel = draw(st.sampled_from(["CONST_KERNEL", "DIAG_KERNEL", "FULL_KERNEL"]))
    normalization = draw(
        st.sampled_from(["NO_NORMALIZATION", "NORMALIZE_BEFORE", "NORMALIZE_AFTER", "NORMALIZE_SYMMETRIC"])
    )
    if normalization == "NO_NORMALIZATION":
        compat = compat / np.float32(height * width)
        compat = compat if isinstance(compat, np.ndarray) else float(compat)
    kind = draw(st.sampled_from(["Gaussian", "Bilateral", "Energy"]))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    sxy = draw(st.one_of(st.floats(0.5, 30), st.tuples(st.floats(0.5, 30), st.floats(0.5, 30))))
    srgb = draw(st.one_of(st.floats(3, 60), st.tuples(*[st.floats(3, 60)] * 3)))
    step = draw(st.sampled_from([1, 40]))  # colours without and with areas of one colour
    image = (rng.integers(0, 256, (height, width, 3)) // step * step).astype(np.uint8)
    features = (rng.normal(size=(draw(st.integers(1, 6)), height * width)) * 2).astype(np.float32)

    def add(module, crf):
        options = {
            "compat": compat,
            "kernel": getattr(module, kernel),
            "normalization": getattr(module, normalization),
        }
        if kind == "Gaussian":
            crf.addPairwiseGaussian(sxy=sxy, **options)
        elif kind == "Bilateral":
            crf.addPairwiseBilateral(sxy=sxy, srgb=srgb, rgbim=image, **options)
        else:
            crf.addPairwiseEnergy(features, **options)

    return add


@st.composite
def problems(draw):
    """A function that makes a CRF of either module."""
    height, width, labels = draw(st.integers(1, 14)), draw(st.integers(1, 14)), draw(st.integers(1, 8))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    unary = (rng.exponential(size=(labels, height * width)) * 2).astype(np.float32)
    added = draw(st.lists(terms(labels, height, width), max_size=3))

    def make(module):
        crf = module.DenseCRF2D(width, height, labels)
        crf.setUnaryEnergy(unary)
        for add in added:
            add(module, crf)
        return crf

    return make


def assert_equal(found, expected):
    found, expected = np.array(found), np.array(expected)
    assert found.shape == expected.shape and found.dtype == expected.dtype == np.float32
    assert np.abs(found - expected).max() <= 1e-4
    if len(expected) > 1:
        second, first = np.sort(expected, axis=0)[-2:]
        assert (found.argmax(0) == expected.argmax(0))[first - second > 1e-4].all()


@many
@given(problems(), st.integers(-1, 5))
def test_inference(make, iterations):
    assert_equal(make(densecrf).inference(iterations), make(reference).inference(iterations))


@many
@given(problems(), st.integers(1, 3))
def test_stepping_and_divergence(make, steps):
    ours, theirs = make(densecrf), make(reference)
    found, expected = ours.startInference(), theirs.startInference()
    for _ in range(steps):
        ours.stepInference(*found)
        theirs.stepInference(*expected)
        assert_equal(found[0], expected[0])
        scale = 1 + np.array(expected[0]).size
        assert abs(ours.klDivergence(found[0]) - theirs.klDivergence(expected[0])) <= 1e-4 * scale
    assert np.array(found[1]).shape == np.array(expected[1]).shape == (0, 0)


@pytest.mark.parametrize("labels", [2, 9, 21, 40])
@pytest.mark.parametrize("size", [(24, 37), (25, 37), (7, 9)])  # 888, 925 and 63 points
def test_the_usual_model(labels, size):
    height, width = size
    rng = np.random.default_rng(labels)
    unary = rng.exponential(size=(labels, height * width)).astype(np.float32)
    image = rng.integers(0, 256, (height // 4 + 1, width // 4 + 1, 3)).repeat(4, 0).repeat(4, 1)[:height, :width]

    def run(module):
        crf = module.DenseCRF2D(width, height, labels)
        crf.setUnaryEnergy(unary)
        crf.addPairwiseGaussian(sxy=3, compat=3)
        crf.addPairwiseBilateral(sxy=80, srgb=13, rgbim=np.ascontiguousarray(image.astype(np.uint8)), compat=10)
        return crf.inference(5)

    assert_equal(run(densecrf), run(reference))


def test_no_unary_energy():
    for start, end in [
        (m.DenseCRF(4, 2).startInference()[0], m.DenseCRF(4, 2).inference(2)) for m in (densecrf, reference)
    ]:
        assert (np.array(start) == 0).all() and (np.array(end) == 0.5).all()


@many
@given(st.integers(2, 6), st.booleans(), st.floats(0.05, 0.95), st.integers(0, 99), st.sampled_from(["int64", "int16"]))
def test_unary_from_labels(labels, zero_unsure, gt_prob, seed, kind):
    high = labels + 1 if zero_unsure else labels
    drawn = np.random.default_rng(seed).integers(0, high, (4, 5)).astype(kind)
    ours, theirs = (m.unary_from_labels(drawn, labels, gt_prob, zero_unsure) for m in (utils, reference_utils))
    np.testing.assert_array_equal(ours, theirs)
    assert ours.dtype == theirs.dtype and ours.flags.c_contiguous
    np.testing.assert_array_equal(
        utils.compute_unary(drawn * 0, labels), reference_utils.compute_unary(drawn * 0, labels)
    )


@many
@given(
    st.integers(1, 5), st.one_of(st.none(), st.floats(0.1, 1)), st.one_of(st.none(), st.floats(1e-8, 0.5)),
    st.sampled_from([np.float32, np.float64]), st.booleans(), st.integers(0, 99),
)  # fmt: skip
def test_unary_from_softmax(labels, scale, clip, kind, transposed, seed):
    probs = np.random.default_rng(seed).dirichlet(np.ones(labels), (3, 4)).astype(kind).transpose(2, 0, 1)
    probs = probs if transposed else np.ascontiguousarray(probs)
    ours, theirs = (m.unary_from_softmax(probs, scale, clip) for m in (utils, reference_utils))
    np.testing.assert_array_equal(ours, theirs)
    assert ours.dtype == theirs.dtype and ours.flags.c_contiguous
    old = [m.softmax_to_unary(probs, scale or 1) for m in (utils, reference_utils)]
    np.testing.assert_array_equal(*old)


@many
@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=4), st.integers(1, 4), st.integers(-6, 5), st.booleans(),
    st.sampled_from([np.uint8, np.float64]), st.integers(0, 99),
)  # fmt: skip
def test_features(shape, channels, axis, one_for_all, kind, seed):
    rng = np.random.default_rng(seed)
    sdims = rng.uniform(0.5, 9, len(shape)).tolist()
    np.testing.assert_array_equal(
        utils.create_pairwise_gaussian(sdims, shape), reference_utils.create_pairwise_gaussian(sdims, shape)
    )
    whole = list(shape)
    if axis == -1:
        channels = 1
    elif -len(shape) - 1 <= axis <= len(shape):
        whole.insert(axis % (len(shape) + 1), channels)
    else:
        return
    image = rng.integers(0, 256, whole).astype(kind)
    schan = 7.5 if one_for_all else tuple(rng.uniform(1, 9, channels))
    ours, theirs = (m.create_pairwise_bilateral(sdims, schan, image, axis) for m in (utils, reference_utils))
    np.testing.assert_array_equal(ours, theirs)
    assert ours.dtype == theirs.dtype
