"""Looks at an image, with networks for which the answer is known."""

import itertools

import pytest
import torch
from torch.nn.functional import avg_pool2d

from src.models.inference import PLAIN, Inference, probabilities, starts


def pointwise(image):
    """Three classes by colour, at the image's own resolution: what it says of a pixel depends on that pixel alone."""
    return image * 3


def coarse(image):
    return avg_pool2d(image, 4) * 3


@pytest.fixture
def image():
    return torch.randn(1, 3, 44, 60, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "looks",
    [PLAIN, Inference(flip=True), Inference(window=16), Inference(window=17, overlap=0.0), Inference(window=100),
     Inference(scales=(1.0, 1.0), flip=True, window=20, overlap=0.7)],
    ids=str,
)  # fmt: skip
def test_whatever_way_a_pointwise_network_looks_it_sees_the_same(image, looks):
    torch.testing.assert_close(probabilities(pointwise, image, looks), (image[0] * 3).softmax(0))


def test_flipping_averages_the_two_and_so_is_symmetric(image):
    def lopsided(x):
        return x * torch.linspace(0, 1, x.shape[-1])

    looks = Inference(flip=True)
    by_hand = (lopsided(image)[0].softmax(0) + lopsided(image.flip(-1)).flip(-1)[0].softmax(0)) / 2
    torch.testing.assert_close(probabilities(lopsided, image, looks), by_hand)
    torch.testing.assert_close(
        probabilities(lopsided, image.flip(-1), looks), probabilities(lopsided, image, looks).flip(-1)
    )


def test_scales_are_averaged_at_the_images_size(image):
    found = probabilities(coarse, image, Inference(scales=(0.5, 1.0, 1.75)))
    assert found.shape == (3, 44, 60)
    torch.testing.assert_close(found.sum(0), torch.ones(44, 60))
    each = [probabilities(coarse, image, Inference(scales=(scale,))) for scale in (0.5, 1.0, 1.75)]
    torch.testing.assert_close(found, sum(each) / 3)


@pytest.mark.parametrize("length", [1, 15, 16, 17, 31, 100])
@pytest.mark.parametrize("overlap", [0.0, 0.34, 0.9])
def test_windows_cover_all_and_overlap_as_said(length, overlap):
    places = list(starts(length, 16, overlap))
    assert places[0] == 0 and places[-1] + 16 >= length and places[-1] <= max(0, length - 16)
    assert all(b - a <= max(1, int(16 * (1 - overlap))) for a, b in itertools.pairwise(places))
