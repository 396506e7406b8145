"""The layout of a generated image: which things it has and where they stand, before anything is drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from src.data.sources.shapes.drawing.pen import Point
from src.data.sources.shapes.scenes import SCENES
from src.data.sources.shapes.silhouettes import NAMES, SILHOUETTES

# Main subjects of thirty images in a row; their order is shuffled. Every class once, the most frequent classes of VOC
# more often, and trains, which appear in no other subject's scene.
DECK = (*NAMES, *("person",) * 4, "bird", "car", "cat", "chair", "dog", "train")
# Probability that a main subject comes with one or two more of its kind.
HERDS = {
    "sheep": 0.7,
    "cow": 0.5,
    "chair": 0.5,
    "bottle": 0.7,
    "person": 0.4,
    "bird": 0.5,
    "boat": 0.4,
    "aeroplane": 0.5,
}
ON_FURNITURE = ("tvmonitor", "bottle")  # in a room, these stand on a sideboard


@dataclass(frozen=True)
class Thing:
    """One object: `ground` (x, y) and `unit` in pixels; objects of larger `depth` are nearer."""

    name: str
    ground: Point
    unit: float
    depth: float
    flip: bool
    tilt: float = 0.0
    aloft: bool = False

    @property
    def label(self) -> int:
        """The label in the mask, 0 for scenery."""
        return 1 + NAMES.index(self.name) if self.name in NAMES else 0


@dataclass(frozen=True)
class Layout:
    """An image before it is drawn; `things` from back to front, `horizon` the row where the ground begins."""

    scene: str
    shape: tuple[int, int]
    horizon: int
    light: Point
    things: tuple[Thing, ...]


def plan(seed: int, index: int, *, height: int, width: int) -> Layout:
    """The things in image `index` and their places; depends on nothing but the arguments.

    Args:
        seed: of the data set.
        index: image number >= 0. In `len(DECK)` images from a multiple of `len(DECK)`, every class is a subject.
        height: pixels of a landscape image, varied by a tenth; one image in five is upright.
        width: pixels, likewise.
    """
    rng = np.random.default_rng([seed, index])
    shape = (round(height * rng.uniform(0.92, 1.08)), round(width * rng.uniform(0.92, 1.08)))
    if rng.random() < 0.2:
        shape = shape[::-1]
    subject = _subject(seed, index)
    homes = SILHOUETTES[subject].scenes
    odds = np.array([0.5**k for k in range(len(homes))])
    name = str(rng.choice(homes, p=odds / odds.sum()))
    horizon = round(shape[0] * rng.uniform(*SCENES[name].horizon))
    angle = np.deg2rad(rng.uniform(45, 75)) if rng.random() < 0.5 else np.deg2rad(rng.uniform(105, 135))
    company = _company(rng, subject, name)
    company = [company[k] for k in rng.permutation(len(company))]
    units = [SILHOUETTES[kind].size * min(shape) * rng.uniform(0.9, 1.12) for kind in company]
    centres, shrink = _abreast(
        rng, [2 * SILHOUETTES[k].half * u for k, u in zip(company, units, strict=True)], shape[1]
    )
    things: list[Thing] = []
    for kind, x, unit in zip(company, centres, units, strict=True):
        things.extend(_stand(rng, kind, (x, unit * shrink), name, shape, horizon))
    if SCENES[name].scenery:
        for x in rng.uniform(0, shape[1], int(rng.integers(1, 4))):
            size = shape[0] * rng.uniform(0.25, 0.42)
            things.append(Thing(SCENES[name].scenery, (float(x), horizon + 3.0), size, 0.0, flip=False))
    light = (float(np.cos(angle)), -float(np.sin(angle)))
    return Layout(name, shape, min(horizon, shape[0]), light, tuple(sorted(things, key=lambda thing: thing.depth)))


def _subject(seed: int, index: int) -> str:
    block, place = divmod(index, len(DECK))
    return DECK[int(np.random.default_rng([seed, block, 1]).permutation(len(DECK))[place])]


def _company(rng: np.random.Generator, subject: str, scene: str) -> list[str]:
    names = [subject] * (1 + int(rng.random() < HERDS.get(subject, 0.0)) * int(rng.integers(1, 3)))
    fitting = {
        name: (3 if name == "person" else 1) / (1 + SILHOUETTES[name].scenes.index(scene))
        for name in NAMES
        if scene in SILHOUETTES[name].scenes and (name != subject or name in HERDS)
    }
    if not fitting:
        return names
    weights = np.array(list(fitting.values()))
    wanted = max(0, int(rng.choice(4, p=(0.2, 0.4, 0.3, 0.1))) - (len(names) - 1))
    return names + [str(name) for name in rng.choice(list(fitting), wanted, p=weights / weights.sum())]


def _abreast(rng: np.random.Generator, widths: list[float], across: int) -> tuple[list[float], float]:
    """Centres of things side by side in `across` pixels, overlapping where they must, and the scale of the things."""
    shrink = min(1.0, max(0.68, 1.25 * across / sum(widths)))
    taken = np.array(widths) * shrink
    spare = across - float(taken.sum())
    gaps = rng.dirichlet(np.ones(len(widths) + 1)) * spare if spare > 0 else np.zeros(len(widths) + 1)
    centres = np.cumsum(taken) - taken / 2 + np.cumsum(gaps)[:-1]
    if spare < 0:
        centres *= across / (across - spare)
    return [float(x) for x in centres + rng.uniform(-0.04, 0.04, len(widths)) * across], shrink


def _stand(
    rng: np.random.Generator,
    kind: str,
    place: Point,
    scene: str,
    shape: tuple[int, int],
    horizon: int,
) -> list[Thing]:
    (x, unit), (low, high) = place, SCENES[scene].ground
    y = shape[0] * rng.uniform(low, high)
    unit *= 0.88 + 0.2 * (y / shape[0] - low) / (high - low)  # nearer is larger
    flip = bool(rng.random() < 0.5)
    aloft = scene == "sky" or (scene == "sea" and kind == "bird")
    if aloft:
        y = shape[0] * rng.uniform(0.36, 0.92) if scene == "sky" else horizon * rng.uniform(0.8, 1.2)
        return [Thing(kind, (x, y), unit, y, flip, rng.uniform(-0.05, 0.22), aloft=True)]
    if scene == "room" and kind in ON_FURNITURE:
        carrier = 0.9 * unit if kind == "tvmonitor" else 0.5 * min(shape)
        y = max(horizon + 0.08 * shape[0], y - 0.12 * shape[0])
        unit *= 0.9 if kind == "tvmonitor" else 0.65
        sideboard = Thing("sideboard", (x, y), carrier, y, flip=False)
        return [sideboard, Thing(kind, (x, y - 0.41 * carrier), unit, y + 0.01, flip)]
    return [Thing(kind, (x, y), unit, y, flip, rng.uniform(-0.03, 0.03))]
