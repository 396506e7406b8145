"""Silhouettes of VOC's indoor objects; the table in `silhouettes.py` holds their sizes and places."""

from __future__ import annotations

import numpy as np

from src.data.sources.shapes.drawing import textures
from src.data.sources.shapes.drawing.paint import Paint, pick
from src.data.sources.shapes.drawing.pen import Pen


def bottle(pen: Pen, rng: np.random.Generator) -> None:
    """Wine or soda bottle with a label and a cap."""
    glass = Paint(
        pick(rng, "1f6b35", "2c7f45", "5b3413", "17584a"), pick(rng, "4fae5a", "8a5a20"), relief=1.0, gloss=0.9
    )
    label = Paint(pick(rng, "f3ead2", "e8d8a8", "f0e0c0"), None, textures.fur)
    r, shoulder = rng.uniform(0.13, 0.16), rng.uniform(0.55, 0.66)
    neck = ((0.05, shoulder + 0.14), (0.045, 0.98), (-0.045, 0.98), (-0.05, shoulder + 0.14))
    pen.poly(
        glass,
        *((r, 0.03), (r, shoulder), (r * 0.8, shoulder + 0.07), *neck),
        *((-r * 0.8, shoulder + 0.07), (-r, shoulder), (-r, 0.03)),
    )
    pen.oval(glass, 0, 0.03, r, 0.03)
    pen.box(label, -r, 0.2, r, shoulder - 0.1)
    pen.box(label.tone(0.55), -r, 0.3, r, 0.36)
    pen.box(Paint(pick(rng, "d8b030", "c02828", "e0e0e0"), gloss=0.7), -0.055, 0.92, 0.055, 1.02, 0.02)


def chair(pen: Pen, rng: np.random.Generator) -> None:
    """Wooden chair: thin legs, a seat, a slatted back."""
    timber = Paint(pick(rng, "b8743a", "a8622c", "c68a4c"), pick(rng, "7c4520"), textures.wood, 0.9, 0.2)
    seat, far = Paint(pick(rng, "c8444a", "d8604a", "b83a50"), None, textures.weave), timber.tone(0.7)
    pen.line(far, 0.05, (-0.1, 0.44), (-0.12, 0.06))
    pen.line(far, 0.05, (0.2, 0.44), (0.21, 0.06))
    lean = rng.uniform(0.02, 0.07)
    pen.line(timber, 0.055, (-0.22, 0.0), (-0.21, 0.45), (-0.23 - lean, 1.0))
    pen.line(timber, 0.05, (-0.06, 0.5), (-0.07 - lean, 0.98))
    pen.limb(timber, 0.09, 0.09, (-0.24 - lean, 0.96), (-0.15 - lean, 1.0), (-0.06 - lean, 0.97))
    for y in (0.62, 0.78):
        pen.line(timber, 0.045, (-0.22 - lean * (y - 0.4), y), (-0.06 - lean * (y - 0.4), y))
    pen.line(timber, 0.055, (0.26, 0.0), (0.25, 0.45))
    pen.line(timber, 0.03, (-0.21, 0.2), (0.26, 0.2))
    pen.poly(timber, (-0.26, 0.41), (0.3, 0.41), (0.3, 0.47), (-0.26, 0.47))
    pen.poly(seat, (-0.26, 0.46), (0.3, 0.46), (0.22, 0.54), (-0.16, 0.54))


def diningtable(pen: Pen, rng: np.random.Generator) -> None:
    """A laid wooden table: a deep top on four thin legs."""
    timber = Paint(pick(rng, "7a4526", "8a5230", "6a3a20"), pick(rng, "a8703c"), textures.wood, 0.7, 0.3)
    wide, cloth = rng.uniform(0.5, 0.58), Paint(pick(rng, "f2f0ea", "e4ecf2"), None, textures.weave, 0.4)
    for x in (-wide + 0.14, wide - 0.14):
        pen.line(timber.tone(0.6), 0.05, (x, 0.45), (x, 0.1))
    for x in (-wide + 0.05, wide - 0.05):
        pen.line(timber, 0.07, (x, 0.45), (x, 0.01))
    pen.box(timber.tone(0.8), -wide, 0.4, wide, 0.47)
    pen.poly(timber, (-wide - 0.02, 0.46), (wide + 0.02, 0.46), (wide - 0.1, 0.66), (-wide + 0.1, 0.66))
    if rng.random() < 0.6:
        pen.poly(cloth, (-0.17, 0.66), (0.17, 0.66), (0.22, 0.46), (0.21, 0.36), (-0.21, 0.36), (-0.22, 0.46))
    plate = Paint((0.95, 0.95, 0.97), gloss=0.6)
    for x, y in ((-0.33, 0.58), (0.33, 0.56), (0.0, 0.56)):
        pen.oval(plate.tone(0.8), x, y, 0.1, 0.032)
        pen.oval(plate, x, y + 0.005, 0.065, 0.02)


def pottedplant(pen: Pen, rng: np.random.Generator) -> None:
    """Arching leaves on thin stems over a terracotta pot."""
    pot = Paint(pick(rng, "c4693c", "b85a30", "d07a48"), None, textures.wood, 1.0)
    green = Paint(pick(rng, "3f9a3a", "2f8a40", "57a835"), pick(rng, "8fd050", "1f5a28"), textures.leaves, 0.9)
    for k in range(11):
        lean = (k - 5) / 5 * 1.15 + rng.uniform(-0.12, 0.12)
        reach = rng.uniform(0.36, 0.56) * (1.1 - 0.25 * abs(lean))
        mid = (0.6 * reach * float(np.sin(lean * 0.7)), 0.38 + 0.62 * reach)
        tip = (reach * float(np.sin(lean)), 0.38 + reach * float(np.cos(lean * 0.85)))
        paint = green.tone(0.7 + 0.12 * (k % 4))
        pen.limb(paint, 0.025, 0.02, (0.0, 0.33), mid)
        side = (tip[1] - mid[1], mid[0] - tip[0])
        belly = [
            (0.55 * mid[0] + 0.45 * tip[0] + s * side[0], 0.55 * mid[1] + 0.45 * tip[1] + s * side[1])
            for s in (0.24, -0.24)
        ]
        pen.blob(paint, mid, belly[0], tip, belly[1])
    pen.poly(pot, (-0.13, 0.0), (0.13, 0.0), (0.18, 0.32), (-0.18, 0.32))
    pen.box(pot.tone(1.1), -0.2, 0.3, 0.2, 0.37, 0.02)


def sofa(pen: Pen, rng: np.random.Generator) -> None:
    """Two seats, round arms, cushions, short feet."""
    cloth = Paint(pick(rng, "2f8a8a", "3a9aa0", "4a7f9a", "2a7a70"), None, textures.weave, 1.0)
    foot, wide = Paint((0.3, 0.18, 0.1)), rng.uniform(0.52, 0.6)
    for x in (-wide + 0.08, wide - 0.08):
        pen.box(foot, x - 0.03, 0.0, x + 0.03, 0.1)
    pen.box(cloth.tone(0.9), -wide + 0.05, 0.2, wide - 0.05, 0.6, 0.09)
    pen.box(cloth, -wide + 0.04, 0.08, wide - 0.04, 0.28, 0.03)
    for side, paint in ((-1, cloth.tone(1.08)), (1, cloth.tone(1.04))):
        x0, x1 = sorted((side * 0.01, side * (wide - 0.09)))
        pen.box(paint, x0, 0.24, x1, 0.36, 0.05)
    for x in (-wide + 0.3, wide - 0.26)[: int(rng.integers(3))]:
        cushion = Paint(pick(rng, "f0c040", "e86a50", "f2eadc"), None, textures.weave, 1.0)
        pen.blob(cushion, (x - 0.12, 0.35), (x - 0.1, 0.55), (x + 0.1, 0.56), (x + 0.12, 0.36))
    for x in (-wide, wide - 0.14):
        pen.box(cloth.tone(1.12), x, 0.07, x + 0.14, 0.43, 0.07)


def tvmonitor(pen: Pen, rng: np.random.Generator) -> None:
    """Flat screen with a black frame on a stand."""
    frame = Paint(pick(rng, "17181c", "25262b", "1e2226"), gloss=0.6)
    screen = Paint(pick(rng, "2a3fd0", "5a2ad0", "1a6af0"), pick(rng, "40e0f0", "f050c0"), textures.picture, 0.0)
    wide = rng.uniform(0.44, 0.52)
    pen.blob(frame.tone(1.6), (-0.22, 0.0), (0.22, 0.0), (0.18, 0.05), (-0.18, 0.05))
    pen.box(frame.tone(1.3), -0.05, 0.03, 0.05, 0.18)
    pen.box(frame, -wide, 0.13, wide, 0.82, 0.03)
    pen.box(screen, -wide + 0.05, 0.2, wide - 0.05, 0.77, 0.01)
    pen.poly(Paint((0.8, 0.9, 1.0), None, relief=0.0), (wide - 0.17, 0.77), (wide - 0.05, 0.77), (wide - 0.05, 0.62))
