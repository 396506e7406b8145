"""Pixels of a generated image and its mask: shadows, occlusion, and the border that VOC leaves unlabelled."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from src.data.sources.shapes.drawing.pen import Pen, Point
from src.data.sources.shapes.drawing.textures import Array
from src.data.sources.shapes.layout import Layout, plan
from src.data.sources.shapes.scenes import SCENES
from src.data.sources.shapes.silhouettes import SCENERY, SILHOUETTES
from src.data.sources.voc import VOID

LABEL_COVERAGE = 0.42  # below one half: a line one pixel wide that lies across two pixels must not vanish


def make_sample(seed: int, index: int, *, height: int, width: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Image number `index` of the data set, and its mask.

    Returns:
        Image (H, W, 3) uint8; mask (H, W) uint8 in {0..20, 255}. H and W vary about `height` and `width`.
    """
    layout = plan(seed, index, height=height, width=width)
    image, objects = render(layout, np.random.default_rng([seed, index, 2]))  # 2: not the layout's stream
    labels = np.array([0, *(thing.label for thing in layout.things)], dtype=np.uint8)[objects]
    labels[void_border(objects)] = VOID
    return image, labels


def render(layout: Layout, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Paint a layout.

    Returns:
        The image (H, W, 3) uint8, and the visible objects (H, W) uint8: 0 background, k for `layout.things[k - 1]`.
    """
    scene = SCENES[layout.scene]
    image = scene.paint(rng, layout.shape, layout.horizon)
    objects = np.zeros(layout.shape, np.uint8)
    for number, thing in enumerate(layout.things, start=1):
        pen = Pen(layout.shape, thing.ground, thing.unit, thing.flip, thing.tilt, thing.aloft)
        draw = SCENERY[thing.name] if thing.name in SCENERY else SILHOUETTES[thing.name].draw
        draw(pen, rng)
        colours, alpha = pen.render(rng, layout.light)
        if scene.shadow and not thing.aloft:
            dark = _shadow(alpha, thing.ground[1], layout.light, reflected=layout.scene == "sea")
            image *= (1 - scene.shadow * dark)[..., None]
        image = image * (1 - alpha[..., None]) + colours
        objects[alpha >= LABEL_COVERAGE] = number if thing.label else 0
    rows, columns = (np.linspace(-1, 1, length, dtype=np.float32) for length in layout.shape)
    vignette = 1 - 0.09 * (rows[:, None] ** 2 + columns[None, :] ** 2)
    tint = rng.uniform(0.95, 1.06) * (1 + rng.uniform(-0.03, 0.03) * np.array((1, 0, -1), dtype=np.float32))
    image = image * vignette[..., None] * tint + rng.normal(0, 0.012, image.shape)
    return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8), objects


def _shadow(alpha: Array, ground: float, light: Point, *, reflected: bool) -> Array:
    """An object's shadow on the ground, away from the light, or its reflection in water; (H, W) in 0..1, blurred."""
    steep = -1.3 if reflected else 3.2
    shear = 0.0 if reflected else float(np.sign(light[0])) * 1.1
    coefficients = (1.0, -shear, shear * ground, 0.0, steep, ground * (1 - steep))
    laid = Image.fromarray(alpha).transform(
        alpha.shape[::-1], Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR
    )
    contact = alpha.copy()
    contact[: max(0, int(ground) - 3)] = 0.0  # only what touches the ground
    soft = ndimage.gaussian_filter(np.asarray(laid, dtype=np.float32), 1.8)
    return np.asarray(np.clip(soft + ndimage.gaussian_filter(contact, (1.5, 3.0)), 0, 1), dtype=np.float32)


def void_border(objects: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """The pixels along object borders that VOC leaves unlabelled: one outside an object and one inside.

    The inner one only if the object is thicker than its border: a wheel's rim or a leg two pixels wide keeps its label.

    Args:
        objects: (H, W) uint8, 0 background, another number for each object.

    Returns:
        (H, W) bool; the edge of the image is not a border.
    """
    square = np.ones((3, 3), dtype=bool)
    void = np.zeros(objects.shape, dtype=bool)
    for number in np.unique(objects[objects > 0]):
        mine = objects == number
        core = ndimage.binary_erosion(mine, square, border_value=1)
        void |= mine & ~core & ndimage.binary_dilation(core, square)
        void |= ndimage.binary_dilation(mine, square) & (objects == 0)
    return void
