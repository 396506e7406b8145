"""Silhouettes of VOC's vehicles, facing right; the table in `silhouettes.py` holds their sizes and places."""

from __future__ import annotations

import numpy as np

from src.data.sources.shapes.drawing import textures
from src.data.sources.shapes.drawing.paint import BLACK, STEEL, Paint, pick
from src.data.sources.shapes.drawing.pen import Pen

TYRE = Paint((0.13, 0.13, 0.14), (0.22, 0.22, 0.23))
GLASS = Paint((0.45, 0.6, 0.7), (0.75, 0.87, 0.93), textures.picture, 0.3, 0.6)


def aeroplane(pen: Pen, rng: np.random.Generator) -> None:
    """Airliner in climb: fuselage with windows, swept wings, fin in the airline's colour."""
    body = Paint(pick(rng, "f2f4f7", "e3e8ee", "d5dae0"), pick(rng, "c3ccd6"), relief=1.0, gloss=0.5)
    livery = Paint(pick(rng, "c8102e", "12448c", "e07a10", "0b7a75"), gloss=0.3)
    wing = Paint(pick(rng, "b8c0ca", "a5aebb"), relief=0.9)
    span = rng.uniform(0.8, 1.1)
    pen.poly(wing.tone(0.85), (0.05, 0.17), (-0.10, 0.17 + 0.2 * span), (-0.16, 0.17 + 0.2 * span), (-0.07, 0.17))
    pen.poly(livery, (-0.32, 0.2), (-0.46, 0.44), (-0.56, 0.44), (-0.52, 0.16))
    pen.blob(
        body,
        *((-0.55, 0.2), (-0.3, 0.225), (0.3, 0.235), (0.46, 0.2)),
        *((0.53, 0.13), (0.42, 0.06), (0, 0.03), (-0.35, 0.07)),
    )
    pen.poly(livery, (-0.5, 0.175), (-0.4, 0.11), (0.46, 0.085), (0.48, 0.13))
    for x in np.arange(-0.32, 0.36, 0.055).tolist():
        pen.box(BLACK, x, 0.155, x + 0.024, 0.182)
    pen.poly(GLASS, (0.42, 0.16), (0.475, 0.15), (0.455, 0.172), (0.42, 0.186))
    pen.poly(wing, (0.12, 0.12), (-0.16, 0.12 - 0.22 * span), (-0.24, 0.12 - 0.22 * span), (-0.1, 0.125))
    pen.poly(wing, (-0.4, 0.15), (-0.53, 0.07), (-0.58, 0.07), (-0.49, 0.16))
    pen.blob(STEEL, (0.1, 0.0), (0.09, -0.05), (-0.02, -0.045), (-0.07, -0.02), (-0.02, 0.025), (0.08, 0.03))


def bicycle(pen: Pen, rng: np.random.Generator) -> None:
    """Diamond frame on two spoked wheels; the holes show what lies behind."""
    frame = Paint(pick(rng, "d0202a", "0a8f86", "d81b78", "f0a000"), gloss=0.6)
    r, grip = 0.3, Paint((0.2, 0.13, 0.1))
    for x in (-0.4, 0.4):
        for angle in np.arange(0, np.pi, np.pi / 5):
            dx, dy = r * float(np.cos(angle)), r * float(np.sin(angle))
            pen.line(STEEL, 0.002, (x - dx, r - dy), (x + dx, r + dy))
        pen.ring(TYRE, x, r, r - 0.02, 0.06)
        pen.oval(STEEL, x, r, 0.035)
    head, seat, crank = (0.27, 0.66), (-0.2, 0.68), (-0.06, 0.27)
    pen.line(frame, 0.05, (-0.4, r), crank, head, (-0.16, 0.6), (-0.4, r))
    pen.line(frame, 0.05, seat, crank)
    pen.limb(frame, 0.05, 0.05, (0.24, 0.75), (0.29, 0.6), (0.34, 0.42), (0.4, r))
    pen.limb(grip, 0.04, 0.04, (0.36, 0.86), (0.22, 0.87), (0.23, 0.75))
    pen.blob(grip, (-0.32, 0.74), (-0.2, 0.74), (-0.08, 0.715), (-0.2, 0.69), (-0.31, 0.7))
    pen.ring(BLACK, crank[0], crank[1], 0.06, 0.03)
    pen.line(BLACK, 0.025, (-0.06, 0.27), (0.02, 0.13), (0.07, 0.13))


def boat(pen: Pen, rng: np.random.Generator) -> None:
    """A sailing dinghy, or a motor boat with a cabin."""
    hull = Paint(pick(rng, "b8452f", "8a5a34", "c23b3b", "9a6a3c"), None, textures.wood, 0.9, 0.3)
    deck, mast = Paint(pick(rng, "f0e6d2", "e8e4da")), Paint((0.42, 0.3, 0.2))
    if rng.random() < 0.7:
        sail = Paint(pick(rng, "f7f2e6", "f4e3c0", "f0a858"), pick(rng, "d8cfba"), textures.fur, 0.9)
        top = rng.uniform(0.9, 1.05)
        pen.line(mast, 0.03, (0.0, 0.15), (0.0, top))
        pen.blob(sail, (-0.03, top - 0.05), (-0.2, 0.55), (-0.42, 0.3), (-0.2, 0.26), (-0.03, 0.27))
        pen.blob(sail.tone(0.9), (0.03, top - 0.1), (0.22, 0.5), (0.4, 0.28), (0.2, 0.29), (0.04, 0.28))
        pen.line(mast, 0.025, (-0.42, 0.25), (0.0, 0.24))
    else:
        pen.poly(deck, (-0.3, 0.15), (-0.28, 0.48), (0.1, 0.48), (0.22, 0.15))
        for x in (-0.23, -0.07):
            pen.box(GLASS, x, 0.3, x + 0.12, 0.42, 0.02)
        pen.line(mast, 0.025, (-0.15, 0.45), (-0.15, 0.8))
        pen.poly(Paint(pick(rng, "d83a2a", "f0c030")), (-0.15, 0.8), (-0.36, 0.73), (-0.15, 0.66))
    pen.blob(hull, (-0.5, 0.22), (0.0, 0.19), (0.56, 0.27), (0.46, 0.08), (0.34, -0.01), (-0.38, -0.01), (-0.48, 0.1))
    pen.limb(deck, 0.03, 0.03, (-0.49, 0.215), (0.0, 0.195), (0.53, 0.26))


def bus(pen: Pen, rng: np.random.Generator) -> None:
    """City bus: a long box with a row of windows, a door and two wheels."""
    coat = Paint(pick(rng, "f2b90c", "f5c518", "eda40a", "e8b020"), None, relief=0.9, gloss=0.5)
    band = Paint(pick(rng, "c4161c", "20407a", "f7f7f0"))
    pen.box(coat, -0.62, 0.08, 0.62, 0.62, 0.07)
    pen.box(band, -0.62, 0.2, 0.62, 0.25)
    pen.box(coat.tone(0.8), -0.5, 0.615, 0.4, 0.65, 0.02)
    for x in np.arange(-0.57, 0.3, 0.17).tolist():
        pen.box(GLASS, x, 0.33, x + 0.145, 0.54, 0.02)
    pen.box(BLACK, 0.3, 0.12, 0.45, 0.55, 0.02)
    for x in (0.31, 0.38):
        pen.box(GLASS, x, 0.16, x + 0.055, 0.53, 0.01)
    pen.box(GLASS, 0.49, 0.3, 0.625, 0.56, 0.03)
    pen.oval(Paint((1.0, 0.97, 0.8), gloss=1), 0.59, 0.16, 0.025)
    pen.box(BLACK, -0.62, 0.06, 0.62, 0.09)
    for x in (-0.36, 0.2):
        pen.oval(coat.tone(0.4), x, 0.11, 0.12, 0.12)
        _wheel(pen, x, 0.095)


def car(pen: Pen, rng: np.random.Generator) -> None:
    """Saloon, hatchback or van from the side."""
    coat = Paint(pick(rng, "c01824", "b01530", "1d4fa8", "2a62b8", "d42a1e"), None, relief=1.0, gloss=0.9)
    tail, roof = ((-0.34, 0.3), (-0.4, 0.36), (-0.36, 0.4))[int(rng.integers(3))]
    pen.blob(
        coat,
        *((-0.54, 0.1), (-0.54, 0.23), (tail - 0.06, 0.25), (-0.22, roof)),
        *((0.1, roof), (0.27, 0.245), (0.5, 0.2), (0.55, 0.1)),
    )
    pen.box(coat, -0.54, 0.07, 0.55, 0.17, 0.04)
    pen.poly(GLASS, (tail + 0.03, 0.24), (-0.21, roof - 0.03), (-0.08, roof - 0.03), (-0.08, 0.235))
    pen.poly(GLASS, (-0.05, 0.235), (-0.05, roof - 0.03), (0.08, roof - 0.03), (0.21, 0.235))
    pen.line(coat.tone(0.7), 0.012, (-0.06, 0.23), (-0.06, 0.1))
    pen.oval(Paint((1.0, 0.95, 0.75), gloss=1), 0.51, 0.17, 0.035, 0.025)
    pen.oval(Paint((0.9, 0.2, 0.1)), -0.53, 0.2, 0.02, 0.03)
    pen.box(BLACK, -0.54, 0.055, 0.55, 0.085, 0.02)
    for x in (-0.33, 0.33):
        pen.oval(coat.tone(0.3), x, 0.1, 0.125)
        _wheel(pen, x, 0.1)


def motorbike(pen: Pen, rng: np.random.Generator) -> None:
    """Fat tyres, engine block, tank in colour, exhaust, handlebar."""
    coat = Paint(pick(rng, "1f9a3c", "35b04a", "7ac21f"), None, relief=1.0, gloss=0.9)
    engine = Paint((0.5, 0.51, 0.54), (0.25, 0.25, 0.28), textures.leaves, 0.9, 0.6)
    for x in (-0.38, 0.4):
        pen.ring(TYRE, x, 0.2, 0.16, 0.085)
        pen.ring(STEEL, x, 0.2, 0.11, 0.02)
        pen.oval(STEEL, x, 0.2, 0.045)
        pen.line(STEEL, 0.018, (x - 0.1, 0.2), (x + 0.1, 0.2))
    pen.line(STEEL, 0.045, (0.4, 0.2), (0.27, 0.6))
    pen.line(BLACK, 0.05, (-0.38, 0.2), (-0.05, 0.27))
    pen.blob(engine, (-0.14, 0.14), (-0.16, 0.36), (0.0, 0.42), (0.18, 0.38), (0.17, 0.18), (0.05, 0.12))
    pen.limb(STEEL, 0.045, 0.065, (0.16, 0.2), (0.0, 0.13), (-0.3, 0.15), (-0.5, 0.2))
    pen.blob(coat, (-0.08, 0.4), (-0.06, 0.52), (0.1, 0.58), (0.25, 0.52), (0.22, 0.42))
    pen.blob(BLACK, (-0.44, 0.54), (-0.3, 0.52), (-0.04, 0.5), (-0.05, 0.43), (-0.3, 0.42), (-0.42, 0.46))
    pen.blob(coat, (-0.54, 0.52), (-0.36, 0.47), (-0.22, 0.42), (-0.3, 0.36), (-0.46, 0.43))
    pen.limb(coat, 0.05, 0.03, (0.25, 0.38), (0.42, 0.44), (0.56, 0.34))
    pen.limb(BLACK, 0.04, 0.04, (0.14, 0.7), (0.24, 0.68), (0.28, 0.6))
    pen.oval(Paint((1.0, 0.95, 0.75), gloss=1), 0.33, 0.56, 0.055)


def train(pen: Pen, rng: np.random.Generator) -> None:
    """Railcar with a slanted nose, a stripe, many windows and bogies."""
    coat = Paint(pick(rng, "d8dde2", "c9d2d8", "e2e4e0"), None, relief=0.9, gloss=0.6)
    stripe = Paint(pick(rng, "1a4fa0", "c01828", "0f7a4a", "e06010"), gloss=0.4)
    pen.box(BLACK, -0.72, 0.05, 0.58, 0.12)
    for x in (-0.62, -0.46, 0.22, 0.38):
        pen.oval(TYRE, x, 0.06, 0.06)
        pen.oval(STEEL, x, 0.06, 0.025)
    pen.blob(coat, (-1.2, 0.1), (-1.2, 0.52), (0.3, 0.5), (0.5, 0.42), (0.68, 0.2), (0.66, 0.11), (0.3, 0.1))
    pen.poly(stripe, (-1.2, 0.13), (0.66, 0.13), (0.68, 0.2), (0.645, 0.24), (-1.2, 0.24))
    pen.box(stripe.tone(0.75), -1.2, 0.455, 0.36, 0.485)
    for x in np.arange(-0.95, 0.15, 0.155).tolist():
        pen.box(GLASS, x, 0.29, x + 0.12, 0.42, 0.02)
    pen.poly(GLASS, (0.36, 0.44), (0.47, 0.41), (0.6, 0.28), (0.4, 0.28))
    pen.box(coat.tone(0.6), 0.2, 0.13, 0.22, 0.44)
    pen.oval(Paint((1.0, 0.97, 0.8), gloss=1), 0.63, 0.17, 0.025)
    pen.line(BLACK, 0.018, (-0.5, 0.5), (-0.36, 0.58), (-0.5, 0.66))
    pen.line(BLACK, 0.018, (-0.62, 0.66), (-0.38, 0.66))


def _wheel(pen: Pen, x: float, radius: float) -> None:
    pen.oval(TYRE, x, radius, radius)
    pen.oval(STEEL, x, radius, radius * 0.55)
    pen.oval(BLACK, x, radius, radius * 0.18)
