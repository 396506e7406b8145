"""What the pixels of a panel say."""

from pathlib import Path

import numpy as np

from src.data.inspection.overlay import overlay
from src.data.sources.voc import VOID, voc_folder, voc_palette
from src.reporting.panels import panel

VOC = voc_folder(Path()).classes
RGB = np.array([[[30, 60, 90], [30, 60, 90], [30, 60, 90]]], dtype=np.uint8)


def test_an_overlay_is_grey_with_the_colours_of_the_classes_over_it():
    background, aeroplane, void = overlay(RGB, np.array([[0, 1, VOID]]), VOC)[0]
    np.testing.assert_array_equal(background, [60, 60, 60])
    np.testing.assert_allclose(aeroplane, 0.7 * voc_palette()[1] + 0.3 * 60, atol=1)
    np.testing.assert_array_equal(void, [255, 255, 255])


def test_the_lower_row_tells_right_wrong_and_void_apart():
    target = np.repeat(np.array([[3, 3, VOID]], dtype=np.uint8), 120, 1).repeat(120, 0)
    drawn = np.asarray(
        panel(
            np.zeros((*target.shape, 3), np.uint8),
            target,
            {"none": np.where(target == 3, [3] * 120 + [4] * 120 + [3] * 120, 0)},
            VOC,
        )
    )
    right, wrong, void = (drawn[160, 262 + k] for k in (40, 125, 210))
    assert right.min() > 200 and right.max() < 250
    assert wrong[0] > 2 * wrong[1:].max()
    np.testing.assert_array_equal(void, [255, 255, 255])


def test_a_panel_has_a_column_per_variant_and_names_its_classes():
    target = np.zeros((100, 100), dtype=np.uint8)
    one = panel(np.zeros((100, 100, 3), dtype=np.uint8), target, {"none": target}, VOC)
    two = panel(np.zeros((100, 100, 3), dtype=np.uint8), target, {"none": target, "crf": target + 1}, VOC)
    assert two.width - one.width == one.width // 2 - 3  # of one.width = 2 columns and a gap
    colours = {colour for _, colour in two.getcolors(1 << 16)}
    assert tuple(voc_palette()[1]) in colours
