"""Parameters, guidance images and the check of the input, which no back end changes."""

import numpy as np
import pytest

from ..errors import CRFError
from ..model import GUIDANCES, CRFParameters, check_input, effective_sigma, guide, positions

GOOD = {
    "iterations": 5, "spatial_sigma": 3, "spatial_weight": 3, "bilateral_sigma_xy": 40, "bilateral_sigma_rgb": 13,
    "bilateral_weight": 10, "label_floor": 0.0,
}  # fmt: skip


def test_normalized_guidance_by_its_definition():
    black, white = (np.full((1, 1, 3), value, dtype=np.uint8) for value in (0, 255))
    span = guide(white, "normalized_unscaled", 13) - guide(black, "normalized_unscaled", 13)
    np.testing.assert_allclose(span.ravel(), 1 / np.array([0.229, 0.224, 0.225]) / 13, rtol=1e-5)
    assert np.exp(-0.5 * (span**2).sum()) == pytest.approx(0.84, abs=0.005)  # the edge between black and white
    assert effective_sigma("normalized", 13) == effective_sigma("raw", 13) == [13, 13, 13]


@pytest.mark.parametrize("guidance", GUIDANCES)
def test_guides_are_images_of_finite_float32(guidance):
    rgb = np.random.default_rng(0).integers(0, 256, (3, 5, 3), dtype=np.uint8)
    found = guide(rgb, guidance, 13)
    assert found.shape == (3, 5, 3) and found.dtype == np.float32 and np.isfinite(found).all()


def test_the_normalized_guide_is_the_raw_one():
    rgb = np.random.default_rng(0).integers(0, 256, (3, 5, 3), dtype=np.uint8)
    np.testing.assert_allclose(guide(rgb, "normalized", 13), guide(rgb, "raw", 13), rtol=1e-5)


def test_positions_are_x_then_y_row_by_row():
    assert positions(2, 3, 2.0).tolist() == [[0, 0.5, 1, 0, 0.5, 1], [0, 0, 0, 0.5, 0.5, 0.5]]


@pytest.mark.parametrize(
    ("probs", "rgb"),
    [
        (np.zeros((2, 3)), np.zeros((2, 3, 3), np.uint8)),
        (np.zeros((2, 0, 4)), np.zeros((0, 4, 3), np.uint8)),
        (np.full((2, 3, 4), np.nan), np.zeros((3, 4, 3), np.uint8)),
        (np.full((2, 3, 4), np.inf), np.zeros((3, 4, 3), np.uint8)),
        (np.full((2, 3, 4), -2.0), np.zeros((3, 4, 3), np.uint8)),  # logits
        (np.zeros((2, 3, 4)), np.zeros((4, 3, 3), np.uint8)),
        (np.zeros((2, 3, 4)), np.zeros((3, 4, 3))),
    ],
    ids=["flat", "empty", "nan", "inf", "logits", "swapped", "float_image"],
)
def test_wrong_shapes_types_and_values_are_refused(probs, rgb):
    with pytest.raises(ValueError, match=r"must be"):
        check_input(probs, rgb)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("spatial_sigma", 0), ("bilateral_sigma_xy", -1), ("bilateral_sigma_rgb", float("nan")), ("label_floor", 1),
        ("label_floor", -0.1), ("iterations", 2.5), ("iterations", -1), ("spatial_weight", float("inf")),
    ],
)  # fmt: skip
def test_impossible_parameters_are_refused_by_name(name, value):
    with pytest.raises(CRFError, match=f"crf.{name}="):
        CRFParameters(**(GOOD | {name: value}))
