"""Our back end on the CPU against the reference, and the properties that any dense CRF has."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ..cpu.meanfield import MOST_THREADS, infer
from ..errors import CRFError
from ..model import GUIDANCES, bilateral_features, guide, positions
from .conftest import model, scene

shapes = st.tuples(st.integers(1, 40), st.integers(1, 40))
few = settings(max_examples=25, deadline=None)


# Other numbers of pixels than multiples of four: the reference pads with points at the origin of its feature space.
@pytest.mark.parametrize(
    ("height", "width", "labels"), [(24, 37, 5), (37, 24, 21), (1, 64, 3), (52, 1, 2), (96, 128, 9)]
)
@pytest.mark.parametrize("changes", [{}, {"iterations": 10, "spatial_sigma": 1, "bilateral_sigma_rgb": 3}])
def test_it_is_the_reference(reference, height, width, labels, changes):
    probs, rgb = scene(height, width, labels)
    crf = model(**changes)
    expected, (found,) = reference(probs, rgb, crf.parameters), infer(probs, rgb, [crf])
    np.testing.assert_allclose(found, expected, atol=1e-4)
    best = np.sort(expected, axis=0)[-2:]
    clear = best[1] - best[0] > 1e-4
    assert (found.argmax(0) == expected.argmax(0))[clear].all()
    assert np.abs(found - probs).max() > 0.1  # it does something


def test_a_small_image_by_the_formula_alone():
    """Away from the lattice: a spatial kernel so narrow that it is the identity only scales the unaries."""
    probs, rgb = scene(6, 8, 4)
    (found,) = infer(probs, rgb, [model(iterations=1, spatial_sigma=1e-2, spatial_weight=2, bilateral_weight=0)])
    expected = np.log(probs) + 2 * probs  # K is the identity after normalisation
    expected = np.exp(expected - expected.max(0))
    np.testing.assert_allclose(found, expected / expected.sum(0), atol=1e-5)


@few
@given(shapes, st.integers(1, 30), st.integers(0, 4), st.floats(0, 20), st.floats(0, 20), st.integers(0, 99))
def test_probabilities_stay_probabilities(shape, labels, iterations, spatial, bilateral, seed):
    probs, rgb = scene(*shape, labels, seed)
    crf = model(iterations=iterations, spatial_weight=spatial, bilateral_weight=bilateral)
    (found,) = infer(probs, rgb, [crf])
    assert found.shape == probs.shape and found.dtype == np.float32 and (found >= 0).all()
    np.testing.assert_allclose(found.sum(0), 1, atol=1e-5)


@few
@given(shapes, st.integers(1, 25), st.integers(0, 4), st.integers(0, 99))
def test_no_weight_or_no_iteration_is_the_identity(shape, labels, iterations, seed):
    probs, rgb = scene(*shape, labels, seed)
    crfs = [model(iterations=iterations, spatial_weight=0, bilateral_weight=0), model(iterations=0)]
    for found in infer(probs, rgb, crfs):
        np.testing.assert_allclose(found, probs, atol=1e-5)


@few
@given(shapes, st.permutations(range(9)), st.integers(0, 99))
def test_permuted_labels_give_permuted_probabilities(shape, order, seed):
    probs, rgb = scene(*shape, 9, seed)
    (plain,), (permuted,) = infer(probs, rgb, [model()]), infer(probs[order], rgb, [model()])
    np.testing.assert_allclose(permuted, plain[order], atol=1e-5)


def by_sums_over_all_pairs(probs, rgb, p):
    """Mean field with the Gaussian kernels themselves instead of a lattice: every pixel with every other."""

    def kernel(features):
        weights = np.exp(-0.5 * ((features[:, :, None] - features[:, None]) ** 2).sum(0))
        norm = 1 / np.sqrt(weights.sum(1))
        return weights * norm * norm[:, None]

    spatial = kernel(positions(*rgb.shape[:2], p.spatial_sigma))
    bilateral = kernel(bilateral_features(rgb, "raw", p.bilateral_sigma_xy, p.bilateral_sigma_rgb))
    unary = np.log(probs.reshape(len(probs), -1))
    q = np.exp(unary)
    for _ in range(p.iterations):
        x = unary + p.spatial_weight * q @ spatial + p.bilateral_weight * q @ bilateral
        q = np.exp(x - x.max(0)) / np.exp(x - x.max(0)).sum(0)
    return q.reshape(probs.shape)


@pytest.mark.parametrize("weights", [(1, 0), (0, 1), (1, 1)])
def test_the_lattice_stands_for_the_gaussian(weights):
    probs, rgb = scene(30, 44, 5)
    crf = model(iterations=1, spatial_weight=weights[0], bilateral_weight=weights[1])
    np.testing.assert_allclose(
        infer(probs, rgb, [crf])[0], by_sums_over_all_pairs(probs, rgb, crf.parameters), atol=0.03
    )


@few
@given(st.integers(8, 30), st.integers(8, 30), st.integers(0, 255), st.integers(0, 99))
def test_a_single_colour_makes_the_bilateral_kernel_spatial(height, width, grey, seed):
    probs, _ = scene(height, width, 5, seed)
    rgb = np.full((height, width, 3), grey, np.uint8)
    crf = model(iterations=1, spatial_weight=0, bilateral_weight=1, bilateral_sigma_xy=3)
    spatial = model(iterations=1, spatial_weight=1, bilateral_weight=0, spatial_sigma=3)
    expected = by_sums_over_all_pairs(probs, rgb, spatial.parameters)
    np.testing.assert_allclose(infer(probs, rgb, [crf])[0], expected, atol=0.03)


@few
@given(shapes, st.integers(0, 99))
def test_normalized_guidance_is_raw_guidance(shape, seed):
    probs, rgb = scene(*shape, 5, seed)
    raw, normalized = infer(probs, rgb, [model("raw"), model("normalized")])
    differing = np.abs(raw - normalized).max(0) > 1e-3  # a point on the border of two simplices may change sides
    assert differing.mean() < 0.02


def test_the_other_guidances_differ():
    raw, *others = infer(*scene(24, 37, 5), [model(g) for g in ("raw", "normalized_unscaled", "normalized_uint8")])
    assert all(np.abs(raw - other).max() > 0.1 for other in others)


def test_equal_bits_whatever_the_number_of_threads():
    probs, rgb = scene(150, 260, 11)
    answers = [infer(probs, rgb, [model()], threads=n)[0].tobytes() for n in (1, 2, MOST_THREADS, MOST_THREADS)]
    assert len(set(answers)) == 1


def test_models_that_share_lattices_do_not_share_results():
    probs, rgb = scene(40, 60, 12)
    models = [model(), model(bilateral_weight=2), model("normalized"), model(iterations=2), model(label_floor=0.2)]
    for crf, together in zip(models, infer(probs, rgb, models), strict=True):
        np.testing.assert_array_equal(together, infer(probs, rgb, [crf])[0])


def test_a_label_below_the_floor_takes_no_part():
    probs, rgb = scene(20, 30, 4)
    probs[2] = 0
    probs *= 0.995 / probs.sum(0)
    probs[2] = 0.005
    floored, exact = infer(probs, rgb, [model(label_floor=0.01), model()])
    assert (floored[2] == 0).all() and (exact[2] > 0).any()
    np.testing.assert_allclose(floored.sum(0), 1, atol=1e-5)
    without = np.delete(probs, 2, axis=0)
    (expected,) = infer(without / without.sum(0), rgb, [model()])
    np.testing.assert_allclose(np.delete(floored, 2, axis=0), expected, atol=1e-5)


def test_a_floor_above_all_labels_leaves_the_likeliest():
    probs = np.full((4, 3, 5), 0.25, np.float32)
    probs[1, 0, 0], probs[0, 0, 0] = 0.3, 0.2
    (found,) = infer(probs, np.zeros((3, 5, 3), np.uint8), [model(label_floor=0.9)])
    assert (found[1] == 1).all()


def test_certain_probabilities_stay_finite_and_inputs_untouched():
    probs, rgb = scene(12, 20, 5)
    certain = np.zeros_like(probs)
    certain[2] = 1
    for given_probs in (certain, probs):
        kept = given_probs.copy(), rgb.copy()
        given_probs.flags.writeable = rgb.flags.writeable = False
        assert np.isfinite(infer(given_probs, rgb, [model()])[0]).all()
        assert (given_probs == kept[0]).all() and (rgb == kept[1]).all()


def test_any_memory_layout_will_do():
    probs, rgb = scene(12, 20, 5)
    odd = np.asfortranarray(probs.astype(np.float64))
    np.testing.assert_array_equal(infer(odd, rgb, [model()])[0], infer(probs, rgb, [model()])[0])
    np.testing.assert_array_equal(
        infer(probs[:, ::-1], rgb[::-1], [model()])[0], infer(probs[:, ::-1].copy(), rgb[::-1].copy(), [model()])[0]
    )


def test_a_lattice_too_fine_to_name_is_refused():
    with pytest.raises(CRFError, match="too small for this image"):
        infer(*scene(12, 20, 2), [model(bilateral_sigma_xy=0.01, bilateral_sigma_rgb=0.01)])


@pytest.mark.parametrize("number", [-1e-6, float("nan"), float("-nan"), float("inf"), 1.001])
def test_a_single_number_that_is_no_probability_is_found(number):
    probs, rgb = scene(5, 6, 3)
    probs[1, 2, 3] = number
    with pytest.raises(ValueError, match="must be finite"):
        infer(probs, rgb, [model()])


def test_a_negative_zero_is_a_zero():
    probs, rgb = scene(5, 6, 3)
    probs[:, 2, 3] = 0.5, 0.5, 0
    (expected,) = infer(probs, rgb, [model()])
    probs[2, 2, 3] = -0.0
    assert (infer(probs, rgb, [model()])[0] == expected).all()


@pytest.mark.parametrize("guidance", GUIDANCES)
def test_features_hold_the_guide(guidance):
    _, rgb = scene(5, 6, 3)
    colours = bilateral_features(rgb, guidance, 60, 13)[2:]
    assert (colours == guide(rgb, guidance, 13).reshape(-1, 3).T).all()


@pytest.mark.parametrize("labels", [8, 9, 24, 25, 33, 40])
def test_labels_fill_lanes(labels, reference):
    """Numbers of labels around those that rows hold."""
    probs, rgb = scene(20, 31, labels)
    crf = model()
    np.testing.assert_allclose(infer(probs, rgb, [crf])[0], reference(probs, rgb, crf.parameters), atol=1e-4)


def test_strong_weights_stay_in_range():
    """Logarithms whose exponentials do not fit into float32."""
    probs, rgb = scene(20, 31, 20)
    (found,) = infer(probs, rgb, [model(spatial_weight=900, bilateral_weight=900)])
    np.testing.assert_allclose(found.sum(0), 1, atol=1e-5)
