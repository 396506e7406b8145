"""Silhouettes without a label: they belong to the background, but cast a shadow and hide other things."""

from __future__ import annotations

import numpy as np

from src.data.sources.shapes.drawing import textures
from src.data.sources.shapes.drawing.paint import STEEL, Paint, pick
from src.data.sources.shapes.drawing.pen import Pen


def tree(pen: Pen, rng: np.random.Generator) -> None:
    """A round crown on a trunk, at the horizon."""
    crown = Paint(pick(rng, "5a7a3a", "6f8a45", "7f8a3c"), pick(rng, "3c5a2c"), textures.leaves, 1.0)
    pen.limb(Paint((0.36, 0.26, 0.2), None, textures.wood), 0.1, 0.05, (0.0, 0.0), (0.02, 0.4), (0.0, 0.6))
    for _ in range(9):
        pen.oval(crown, rng.uniform(-0.22, 0.22), rng.uniform(0.5, 0.85), rng.uniform(0.12, 0.2))


def sideboard(pen: Pen, rng: np.random.Generator) -> None:
    """White, with three doors; carries a screen or a bottle."""
    white = Paint(pick(rng, "d8d0c4", "cbbfae"), relief=0.4)
    pen.box(white, -0.75, 0.0, 0.75, 0.42, 0.02)
    for x in (-0.72, -0.22, 0.28):
        pen.box(white.tone(0.9), x, 0.06, x + 0.44, 0.36, 0.01)
        pen.oval(STEEL, x + 0.22, 0.22, 0.03)
