"""The table of scenes: a background, the range of its horizon and its ground, and the scenery in it.

To add a scene: paint it in `backgrounds.py`, add a line here, and name it in the `scenes` of a silhouette.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from src.data.sources.shapes.drawing import backgrounds
from src.data.sources.shapes.drawing.textures import Array


@dataclass(frozen=True)
class Scene:
    """A kind of place; ranges are fractions of the image height, `shadow` the darkness of a cast shadow."""

    paint: Callable[[np.random.Generator, tuple[int, int], int], Array]
    horizon: tuple[float, float]
    ground: tuple[float, float]
    shadow: float
    scenery: str = ""


SCENES = {
    "sky": Scene(backgrounds.sky, (0.86, 1.1), (0.5, 0.8), 0.0),
    "sea": Scene(backgrounds.sea, (0.36, 0.5), (0.7, 0.9), 0.3),
    "meadow": Scene(backgrounds.meadow, (0.3, 0.44), (0.78, 0.95), 0.42, "tree"),
    "street": Scene(backgrounds.street, (0.46, 0.56), (0.8, 0.95), 0.45),
    "rail": Scene(backgrounds.rail, (0.46, 0.58), (0.79, 0.9), 0.4, "tree"),
    "room": Scene(backgrounds.room, (0.56, 0.66), (0.82, 0.97), 0.3),
    "kitchen": Scene(backgrounds.kitchen, (0.58, 0.68), (0.8, 0.94), 0.32),
}
