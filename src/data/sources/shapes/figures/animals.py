"""Silhouettes of VOC's animals, facing right; the table in `silhouettes.py` holds their sizes and places."""

from __future__ import annotations

import numpy as np

from src.data.sources.shapes.drawing import textures
from src.data.sources.shapes.drawing.paint import BLACK, Paint, pick
from src.data.sources.shapes.drawing.pen import Pen


def bird(pen: Pen, rng: np.random.Generator) -> None:
    """A small bird, perched on its thin legs or flying with raised wings."""
    coat = Paint(pick(rng, "2f6fd0", "3f86d8", "7a4fc0", "2a8fb8"), pick(rng, "1c3f8a", "4a2f86"), textures.fur, 0.9)
    breast = Paint(pick(rng, "f0a040", "e8703a", "f2cf70"), None, textures.fur)
    beak = Paint(pick(rng, "e8a020", "d87818"))
    flying = pen.aloft
    if flying:
        lift = rng.uniform(0.7, 1.1)
        pen.blob(coat.tone(0.75), (0.02, 0.3), (0.08, 0.5 * lift + 0.25), (-0.1, 0.3 + 0.55 * lift), (-0.16, 0.32))
    else:
        for x in (-0.03, 0.05):
            pen.line(beak.tone(0.6), 0.024, (x - 0.01, 0.18), (x, 0.01), (x + 0.06, 0.0))
    pen.poly(coat.tone(0.7), (-0.24, 0.3), (-0.56, 0.27), (-0.58, 0.17), (-0.22, 0.17))
    pen.blob(coat, (-0.3, 0.24), (-0.1, 0.4), (0.12, 0.46), (0.27, 0.44), (0.28, 0.28), (0.1, 0.14), (-0.15, 0.15))
    pen.blob(breast, (0.27, 0.34), (0.22, 0.2), (0.06, 0.13), (-0.1, 0.16), (0.05, 0.24), (0.18, 0.36))
    pen.poly(beak, (0.38, 0.49), (0.55, 0.43), (0.38, 0.42))
    pen.oval(coat, 0.27, 0.47, 0.15, 0.14)
    pen.oval(BLACK, 0.32, 0.5, 0.028)
    if flying:
        pen.blob(coat.tone(0.85), (0.1, 0.36), (-0.08, 0.62 * lift + 0.2), (-0.36, 0.3 + 0.6 * lift), (-0.2, 0.3))
    else:
        pen.blob(coat.tone(0.75), (0.1, 0.38), (-0.1, 0.36), (-0.36, 0.2), (-0.12, 0.2), (0.08, 0.26))


def cat(pen: Pen, rng: np.random.Generator) -> None:
    """Sitting tabby with pointed ears and a curled tail."""
    coat = Paint(pick(rng, "ea7a1c", "e0701a", "f08a2c"), pick(rng, "a8501a", "f4c88a"), textures.tabby, 0.9)
    if rng.random() < 0.2:
        coat = Paint(pick(rng, "8f949c", "787d86"), pick(rng, "4a4d55"), textures.tabby, 0.9)
    pale, pink = Paint((0.97, 0.92, 0.86), None, textures.fur), Paint((0.9, 0.55, 0.55))
    pen.limb(coat.tone(0.85), 0.1, 0.06, (-0.2, 0.1), (-0.42, 0.06), (-0.52, 0.22), (-0.44, 0.42), (-0.48, 0.52))
    pen.blob(
        coat,
        *((-0.3, 0.05), (-0.28, 0.3), (-0.12, 0.6), (0.1, 0.66)),
        *((0.22, 0.5), (0.22, 0.2), (0.24, 0.02), (-0.15, 0.0)),
    )
    pen.blob(coat.tone(0.9), (-0.3, 0.03), (-0.28, 0.24), (-0.1, 0.28), (0.02, 0.12), (0.02, 0.0))
    pen.blob(pale, (0.1, 0.56), (0.22, 0.48), (0.2, 0.28), (0.12, 0.34))
    for x in (0.1, 0.2):
        pen.limb(coat, 0.1, 0.085, (x - 0.02, 0.32), (x, 0.15), (x + 0.02, 0.04))
        pen.oval(pale, x + 0.03, 0.03, 0.06, 0.035)
    head = (0.14, 0.74)
    for x, tip in ((-0.1, -0.13), (0.12, 0.15)):
        pen.poly(coat, (head[0] + x - 0.08, 0.8), (head[0] + tip, 1.03), (head[0] + x + 0.07, 0.84))
        pen.poly(pink, (head[0] + x - 0.03, 0.84), (head[0] + tip, 0.97), (head[0] + x + 0.03, 0.85))
    pen.oval(coat, *head, 0.205, 0.165)
    pen.oval(pale, head[0] + 0.04, 0.67, 0.1, 0.065)
    for x in (-0.05, 0.12):
        pen.oval(Paint((0.75, 0.8, 0.25)), head[0] + x, 0.77, 0.036, 0.032)
        pen.oval(BLACK, head[0] + x, 0.77, 0.015, 0.03)
    pen.oval(pink, head[0] + 0.04, 0.705, 0.025, 0.018)


def cow(pen: Pen, rng: np.random.Generator) -> None:
    """Large patched body, short horns, pink muzzle and udder."""
    coat = Paint(pick(rng, "f4efe6", "efe8dc"), pick(rng, "1c1a1c", "2a2220", "231c20"), textures.patches, 0.8)
    leg, pink, hoof = Paint((0.93, 0.9, 0.86), None, textures.fur), Paint((0.93, 0.66, 0.64)), Paint((0.2, 0.17, 0.16))
    stride = rng.uniform(-0.05, 0.05)
    _legs(pen, leg.tone(0.75), hoof, (-0.3, 0.24), top=0.36, width=0.075, stride=-stride)
    pen.limb(coat, 0.03, 0.02, (-0.5, 0.68), (-0.57, 0.5), (-0.55, 0.28))
    pen.oval(BLACK, -0.55, 0.27, 0.03, 0.05)
    pen.oval(pink, -0.24, 0.32, 0.09, 0.07)
    pen.blob(
        coat,
        *((-0.5, 0.68), (-0.1, 0.7), (0.28, 0.73), (0.42, 0.6)),
        *((0.34, 0.38), (0, 0.3), (-0.35, 0.34), (-0.52, 0.45)),
    )
    _legs(pen, leg, hoof, (-0.4, 0.3), top=0.4, width=0.08, stride=stride)
    drop = 0.22 if rng.random() < 0.3 else 0.0  # grazing
    pen.blob(coat, (0.2, 0.74), (0.42, 0.82 - drop), (0.5, 0.66 - drop), (0.38, 0.44), (0.24, 0.5))
    pen.limb(Paint((0.85, 0.8, 0.65)), 0.035, 0.015, (0.46, 0.85 - drop), (0.52, 0.93 - drop), (0.5, 0.97 - drop))
    pen.blob(BLACK, (0.38, 0.83 - drop), (0.27, 0.8 - drop), (0.3, 0.73 - drop), (0.42, 0.78 - drop))
    pen.blob(
        coat,
        *((0.4, 0.87 - drop), (0.52, 0.87 - drop), (0.64, 0.68 - drop)),
        *((0.6, 0.6 - drop), (0.48, 0.62 - drop), (0.38, 0.74 - drop)),
    )
    pen.oval(pink, 0.61, 0.64 - drop, 0.065, 0.055)
    pen.oval(BLACK, 0.51, 0.79 - drop, 0.018)


def dog(pen: Pen, rng: np.random.Generator) -> None:
    """Standing dog: snout, hanging ear, raised tail, collar."""
    coat = Paint(pick(rng, "c8a878", "d6b888", "b99a6a", "e0c89c"), pick(rng, "8a5c2c", "a87440"), textures.fur, 0.9)
    dark, stride = coat.tone(0.6), rng.uniform(-0.08, 0.08)
    _legs(pen, coat.tone(0.75), dark, (-0.2, 0.2), top=0.34, width=0.075, stride=-stride)
    pen.limb(coat, 0.09, 0.04, (-0.32, 0.5), (-0.46, 0.58), (-0.5, 0.74), (-0.44, 0.84))
    pen.blob(
        coat,
        *((-0.36, 0.54), (-0.05, 0.55), (0.22, 0.6), (0.33, 0.48)),
        *((0.25, 0.3), (0.0, 0.33), (-0.24, 0.33), (-0.37, 0.4)),
    )
    _legs(pen, coat, dark, (-0.28, 0.24), top=0.36, width=0.085, stride=stride)
    pen.blob(coat, (0.1, 0.56), (0.24, 0.74), (0.38, 0.66), (0.34, 0.44))
    pen.limb(Paint(pick(rng, "c82020", "2050b0")), 0.05, 0.05, (0.19, 0.64), (0.28, 0.57), (0.36, 0.55))
    pen.blob(coat, (0.2, 0.78), (0.3, 0.87), (0.42, 0.82), (0.56, 0.72), (0.55, 0.64), (0.42, 0.62), (0.26, 0.64))
    pen.blob(dark, (0.26, 0.84), (0.18, 0.8), (0.16, 0.62), (0.23, 0.58), (0.3, 0.7))
    pen.oval(BLACK, 0.56, 0.715, 0.035, 0.03)
    pen.oval(BLACK, 0.4, 0.77, 0.022)


def horse(pen: Pen, rng: np.random.Generator) -> None:
    """Long legs, arched neck, dark mane and tail."""
    coat = Paint(pick(rng, "7a3b1c", "8a4520", "6a3018", "95502a"), None, textures.fur, 1.0, 0.25)
    mane, hoof = Paint(pick(rng, "1e1512", "2a1a14"), None, textures.fur), Paint((0.15, 0.12, 0.1))
    stride = rng.uniform(-0.09, 0.09)
    _legs(pen, coat.tone(0.7), hoof, (-0.2, 0.2), top=0.44, width=0.055, stride=-stride)
    pen.limb(mane, 0.07, 0.03, (-0.38, 0.62), (-0.5, 0.55), (-0.53, 0.35), (-0.5, 0.22))
    pen.blob(
        coat,
        *((-0.4, 0.62), (-0.2, 0.66), (0.1, 0.62), (0.3, 0.64)),
        *((0.32, 0.48), (0.15, 0.4), (-0.12, 0.41), (-0.38, 0.44)),
    )
    _legs(pen, coat, hoof, (-0.32, 0.25), top=0.48, width=0.065, stride=stride)
    pen.blob(coat, (0.12, 0.62), (0.26, 0.8), (0.38, 0.95), (0.48, 0.9), (0.44, 0.74), (0.33, 0.5))
    pen.blob(mane, (0.08, 0.63), (0.2, 0.86), (0.37, 1.0), (0.39, 0.93), (0.28, 0.76), (0.18, 0.6))
    pen.poly(coat, (0.38, 0.95), (0.42, 1.05), (0.46, 0.94))
    pen.blob(coat, (0.37, 0.93), (0.47, 0.95), (0.62, 0.76), (0.6, 0.69), (0.53, 0.69), (0.42, 0.79))
    pen.oval(BLACK, 0.48, 0.87, 0.02)
    pen.oval(mane, 0.6, 0.73, 0.03, 0.03)


def sheep(pen: Pen, rng: np.random.Generator) -> None:
    """A cloud of wool on thin dark legs, dark face."""
    fleece = Paint(pick(rng, "f2ead8", "e8dfca", "f6f0e2"), pick(rng, "b8a98c", "c4b8a0"), textures.wool, 0.8)
    dark = Paint(pick(rng, "3a302c", "2c2624", "4a3c34"), None, textures.fur)
    _legs(pen, dark.tone(0.8), dark, (-0.18, 0.18), top=0.3, width=0.055, stride=rng.uniform(-0.04, 0.04))
    _legs(pen, dark, dark, (-0.26, 0.24), top=0.3, width=0.06, stride=rng.uniform(-0.04, 0.04))
    angles = np.linspace(0, 2 * np.pi, 13, endpoint=False)
    for a, r in zip(angles, rng.uniform(0.1, 0.135, 13), strict=True):
        pen.oval(fleece, 0.3 * float(np.cos(a)) - 0.02, 0.46 + 0.17 * float(np.sin(a)), float(r))
    pen.oval(fleece, -0.02, 0.46, 0.32, 0.2)
    pen.oval(fleece.tone(0.9), -0.4, 0.5, 0.06, 0.07)
    pen.blob(dark, (0.32, 0.64), (0.44, 0.68), (0.54, 0.5), (0.5, 0.42), (0.38, 0.46))
    pen.blob(dark.tone(1.3), (0.34, 0.64), (0.22, 0.62), (0.24, 0.55), (0.35, 0.58))
    pen.oval(fleece, 0.37, 0.69, 0.09, 0.06)
    pen.oval(Paint((0.95, 0.95, 0.9)), 0.44, 0.59, 0.02)


def _legs(
    pen: Pen, paint: Paint, hoof: Paint, at: tuple[float, ...], *, top: float, width: float, stride: float
) -> None:
    for k, x in enumerate(at):
        foot = x + stride * (1, -1)[k % 2]
        pen.limb(paint, width * 1.5, width, (x, top), ((x + foot) / 2 + 0.01, top * 0.5), (foot, 0.03))
        pen.box(hoof, foot - width * 0.6, 0.0, foot + width * 0.75, 0.045, 0.015)
