"""The table of everything that can be drawn: for each of VOC's classes a silhouette, its size, and its scenes.

To add or change a silhouette: write a function `(pen, rng)` in the file of its group, in the thing's own unit (y up,
ground at y = 0, facing right), and add a line here. Then raise `GENERATOR_VERSION` in `dataset.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from src.data.sources.shapes.drawing.pen import Pen
from src.data.sources.shapes.figures import animals, indoor, person, scenery, vehicles

Draw = Callable[[Pen, np.random.Generator], None]


@dataclass(frozen=True)
class Silhouette:
    """How to draw a thing, its size, and its scenes.

    Attributes:
        draw: draws the parts, from back to front.
        size: its unit, as a fraction of the image's shorter side.
        half: half its width, in units.
        scenes: names in `SCENES`, the most likely first.
    """

    draw: Draw
    size: float
    half: float
    scenes: tuple[str, ...]


SILHOUETTES = {
    "person": Silhouette(person.person, size=0.8, half=0.26, scenes=("street", "room", "meadow", "rail")),
    "bird": Silhouette(animals.bird, size=0.62, half=0.5, scenes=("sky", "sea", "meadow")),
    "cat": Silhouette(animals.cat, size=0.68, half=0.42, scenes=("room", "kitchen")),
    "cow": Silhouette(animals.cow, size=0.78, half=0.62, scenes=("meadow",)),
    "dog": Silhouette(animals.dog, size=0.74, half=0.5, scenes=("meadow", "street", "room")),
    "horse": Silhouette(animals.horse, size=0.9, half=0.6, scenes=("meadow",)),
    "sheep": Silhouette(animals.sheep, size=0.72, half=0.5, scenes=("meadow",)),
    "aeroplane": Silhouette(vehicles.aeroplane, size=1.08, half=0.56, scenes=("sky",)),
    "bicycle": Silhouette(vehicles.bicycle, size=0.95, half=0.62, scenes=("street", "meadow")),
    "boat": Silhouette(vehicles.boat, size=0.8, half=0.55, scenes=("sea",)),
    "bus": Silhouette(vehicles.bus, size=1.0, half=0.62, scenes=("street",)),
    "car": Silhouette(vehicles.car, size=0.85, half=0.55, scenes=("street",)),
    "motorbike": Silhouette(vehicles.motorbike, size=0.78, half=0.56, scenes=("street",)),
    "train": Silhouette(vehicles.train, size=1.0, half=0.68, scenes=("rail",)),
    "bottle": Silhouette(indoor.bottle, size=0.78, half=0.18, scenes=("kitchen", "room")),
    "chair": Silhouette(indoor.chair, size=0.8, half=0.28, scenes=("room",)),
    "diningtable": Silhouette(indoor.diningtable, size=0.85, half=0.6, scenes=("room",)),
    "pottedplant": Silhouette(indoor.pottedplant, size=0.9, half=0.32, scenes=("room", "kitchen")),
    "sofa": Silhouette(indoor.sofa, size=0.85, half=0.62, scenes=("room",)),
    "tvmonitor": Silhouette(indoor.tvmonitor, size=0.62, half=0.52, scenes=("room", "kitchen")),
}
NAMES = tuple(sorted(SILHOUETTES))  # in the order of their labels, which begin at 1: that of VOC
SCENERY: dict[str, Draw] = {"tree": scenery.tree, "sideboard": scenery.sideboard}  # without a label
