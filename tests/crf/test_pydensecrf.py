import numpy as np
import pytest

from src.crf.model import GUIDANCES, CRFParameters, effective_sigma, guide
from src.crf.pydensecrf import PyDenseCRF
from src.errors import InputError

PARAMETERS = CRFParameters(5, 3, 3, 40, 13, 10)
HEIGHT, WIDTH, LABELS = 24, 37, 5  # not square


@pytest.fixture(scope="module")
def image():
    rng = np.random.default_rng(0)
    rgb = (
        rng.integers(0, 256, (HEIGHT // 4, WIDTH // 4 + 1, 3), dtype=np.uint8)
        .repeat(4, 0)
        .repeat(4, 1)[:HEIGHT, :WIDTH]
    )
    logits = rng.normal(size=(LABELS, HEIGHT, WIDTH)).astype(np.float32)
    probs = np.exp(logits) / np.exp(logits).sum(0)
    return probs, np.ascontiguousarray(rgb)


def reference(probs, rgb, p):
    """The bindings' own way: positions and colours handed over as an image."""
    from pydensecrf.densecrf import DenseCRF2D

    crf = DenseCRF2D(WIDTH, HEIGHT, LABELS)
    crf.setUnaryEnergy(np.ascontiguousarray(-np.log(probs).reshape(LABELS, -1)))
    crf.addPairwiseGaussian(sxy=p.spatial_sigma, compat=p.spatial_weight)
    crf.addPairwiseBilateral(sxy=p.bilateral_sigma_xy, srgb=p.bilateral_sigma_rgb, rgbim=rgb, compat=p.bilateral_weight)
    return np.array(crf.inference(p.iterations)).reshape(LABELS, HEIGHT, WIDTH)


def test_raw_guidance_is_what_pydensecrf_does_with_an_image(image):
    np.testing.assert_allclose(PyDenseCRF(PARAMETERS, "raw")(*image), reference(*image, PARAMETERS), atol=1e-5)


def test_normalized_equals_raw_and_the_others_do_not(image):
    found = {name: PyDenseCRF(PARAMETERS, name)(*image) for name in GUIDANCES}
    np.testing.assert_allclose(found["normalized"], found["raw"], atol=1e-3)
    for name in ("normalized_unscaled", "normalized_uint8"):
        assert np.abs(found[name] - found["raw"]).max() > 0.1


def test_no_pairwise_weight_is_the_identity(image):
    probs, rgb = image
    crf = PyDenseCRF(CRFParameters(3, 3, 0, 40, 13, 0), "raw")
    np.testing.assert_allclose(crf(probs, rgb), probs, atol=1e-5)


def test_zero_probabilities_stay_finite(image):
    probs, rgb = image
    certain = np.zeros_like(probs)
    certain[2] = 1
    assert np.isfinite(PyDenseCRF(PARAMETERS, "raw")(certain, rgb)).all()


def test_inputs_are_not_modified(image):
    probs, rgb = (array.copy() for array in image)
    PyDenseCRF(PARAMETERS, "raw")(probs, rgb)
    assert (probs == image[0]).all() and (rgb == image[1]).all()


def test_normalized_guidance_by_its_definition():
    black, white = (np.full((1, 1, 3), value, dtype=np.uint8) for value in (0, 255))
    span = guide(white, "normalized_unscaled", 13) - guide(black, "normalized_unscaled", 13)
    np.testing.assert_allclose(span.ravel(), 1 / np.array([0.229, 0.224, 0.225]) / 13, rtol=1e-5)
    assert np.exp(-0.5 * (span**2).sum()) == pytest.approx(0.84, abs=0.005)  # the edge between black and white
    assert effective_sigma("normalized", 13) == effective_sigma("raw", 13) == [13, 13, 13]


@pytest.mark.parametrize(
    ("probs", "rgb"),
    [
        (np.zeros((2, 3)), np.zeros((2, 3, 3), np.uint8)),
        (np.full((2, 3, 4), np.nan), np.zeros((3, 4, 3), np.uint8)),
        (np.zeros((2, 3, 4)), np.zeros((4, 3, 3), np.uint8)),
        (np.zeros((2, 3, 4)), np.zeros((3, 4, 3))),
    ],
)
def test_wrong_shapes_and_types_are_refused(probs, rgb):
    with pytest.raises(ValueError, match=r"must be"):
        PyDenseCRF(PARAMETERS, "raw")(probs, rgb)


def test_a_sigma_of_zero_is_refused():
    with pytest.raises(InputError, match="spatial_sigma"):
        CRFParameters(5, 0, 3, 40, 13, 10)
