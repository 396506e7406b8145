"""What the pixels of a panel say."""

import numpy as np

from src.data.classes import VOC_CLASSES, VOID, voc_palette
from src.reporting.panels import error_map, overlay, panel

RGB = np.array([[[30, 60, 90], [30, 60, 90], [30, 60, 90]]], dtype=np.uint8)


def test_an_overlay_is_grey_with_the_colours_of_the_classes_over_it():
    background, aeroplane, void = overlay(RGB, np.array([[0, 1, VOID]]))[0]
    np.testing.assert_array_equal(background, [60, 60, 60])
    np.testing.assert_allclose(aeroplane, 0.7 * voc_palette()[1] + 0.3 * 60, atol=1)
    np.testing.assert_array_equal(void, [255, 255, 255])


def test_an_error_map_tells_right_wrong_and_void_apart():
    right, wrong, void = error_map(np.array([[3, 3, 3]], dtype=np.uint8), np.array([[3, 4, VOID]], dtype=np.uint8))[0]
    assert right.min() > 200
    assert wrong[0] > 2 * wrong[1:].max()
    np.testing.assert_array_equal(void, [255, 255, 255])


def test_a_panel_has_a_column_per_variant_and_names_its_classes():
    target = np.zeros((100, 100), dtype=np.uint8)
    one = panel(np.zeros((100, 100, 3), dtype=np.uint8), target, {"none": target}, VOC_CLASSES)
    two = panel(np.zeros((100, 100, 3), dtype=np.uint8), target, {"none": target, "crf": target + 1}, VOC_CLASSES)
    assert two.width - one.width == one.width // 2 - 3  # of one.width = 2 columns and a gap
    colours = {colour for _, colour in two.getcolors(1 << 16)}
    assert tuple(voc_palette()[1]) in colours
