"""The silhouette of VOC's person; the table in `silhouettes.py` holds its size and places."""

from __future__ import annotations

import numpy as np

from src.data.sources.shapes.drawing import textures
from src.data.sources.shapes.drawing.paint import BLACK, Paint, pick
from src.data.sources.shapes.drawing.pen import Pen


def person(pen: Pen, rng: np.random.Generator) -> None:
    """Standing or walking, arms at the sides, waving or akimbo."""
    skin = Paint(pick(rng, "e8b998", "d49a73", "a06a45", "6f4630", "f0c9a8"), None, textures.plain, 0.8)
    shoe = Paint(pick(rng, "2a2220", "e8e8e8", "6a3020"))
    hair = Paint(pick(rng, "2a1a12", "5a3518", "1c1818", "a87838"), None, textures.fur)
    shirt = Paint(pick(rng, "d84a3a", "3a78c8", "f0f0ea", "e8b030", "8a4aa0", "e87a9a"), None, textures.fur, 0.9)
    if rng.random() < 0.35:
        shirt = Paint(shirt.colour, pick(rng, "f4f4f0", "1f2f5a"), textures.stripes, 0.9)
    denim = Paint(pick(rng, "2f4670", "3a5488", "24365a", "3f4f66"), None, textures.weave, 0.9)
    step, arm = rng.uniform(0.02, 0.1), rng.uniform(-0.05, 0.08)
    pen.limb(shirt.tone(0.75), 0.075, 0.06, (-0.08, 0.76), (-0.16, 0.64), (-0.15 - arm, 0.52))
    pen.oval(skin, -0.155 - arm, 0.49, 0.03, 0.038)
    for x, paint in ((-step, denim.tone(0.8)), (step, denim)):
        pen.limb(paint, 0.13, 0.085, (0.3 * x, 0.48), (0.7 * x + 0.01, 0.26), (x, 0.04))
        pen.blob(shoe, (x - 0.05, 0.0), (x - 0.05, 0.05), (x + 0.03, 0.05), (x + 0.1, 0.02), (x + 0.09, 0.0))
    pen.limb(skin, 0.07, 0.07, (0.0, 0.78), (0.01, 0.88))
    pen.blob(
        shirt,
        *((-0.1, 0.46), (-0.11, 0.66), (-0.13, 0.77), (-0.04, 0.82)),
        *((0.05, 0.82), (0.13, 0.77), (0.11, 0.64), (0.1, 0.46)),
    )
    pose = rng.random()
    hand = (0.29, 0.93) if pose < 0.25 else (0.12, 0.52) if pose < 0.45 else (0.17 + arm, 0.5)
    elbow = (0.23, 0.74) if pose < 0.25 else (0.26, 0.63) if pose < 0.45 else (0.17, 0.63)
    pen.limb(shirt.tone(0.92), 0.08, 0.065, (0.1, 0.76), elbow)
    pen.limb(skin, 0.055, 0.045, elbow, hand)
    pen.oval(skin, *hand, 0.032, 0.038)
    if rng.random() < 0.4:
        pen.blob(hair, (-0.1, 0.95), (-0.11, 0.8), (0.0, 0.78), (0.06, 0.9))
    pen.oval(skin, 0.01, 0.925, 0.078, 0.095)
    for x in (0.012, 0.058):
        pen.oval(BLACK, x, 0.93, 0.011, 0.014)
    pen.line(skin.tone(0.6), 0.012, (0.02, 0.875), (0.05, 0.877))
    pen.blob(hair, (-0.08, 0.91), (-0.075, 1.0), (0.02, 1.035), (0.09, 0.99), (0.07, 0.965), (0.0, 0.96), (-0.04, 0.92))
