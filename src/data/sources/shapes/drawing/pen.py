"""The pen that draws a silhouette's lit, antialiased parts.

Parts are drawn as paint numbers at 4 times the size. The share of a pixel that a paint covers is its coverage; so
colours blend at edges, and the label mask stays hard. Lengths are in each silhouette's own unit, y up, ground at y = 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageDraw

from src.data.sources.shapes.drawing.paint import Paint, lit
from src.data.sources.shapes.drawing.textures import Array

Point = tuple[float, float]

OVERSAMPLING = 4


@dataclass
class Pen:
    """Draws one object's parts on a canvas of `shape` (H, W) pixels, later parts over earlier ones.

    A silhouette's point (x, y) is placed relative to `ground` (x, y in pixels), with `unit` pixels per unit. It is
    mirrored if `flip`, and turned by `tilt` radians about the ground point. `aloft`: draw the flying pose, if any.
    """

    shape: tuple[int, int]
    ground: Point
    unit: float
    flip: bool = False
    tilt: float = 0.0
    aloft: bool = False
    paints: list[Paint] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._canvas = Image.new("L", (self.shape[1] * OVERSAMPLING, self.shape[0] * OVERSAMPLING))
        self._draw = ImageDraw.Draw(self._canvas)

    def _number(self, paint: Paint | None) -> int:
        if paint is None:
            return 0
        if paint not in self.paints:
            self.paints.append(paint)
        return self.paints.index(paint) + 1

    def _place(self, points: Sequence[Point]) -> list[Point]:
        cos, sin, side = float(np.cos(self.tilt)), float(np.sin(self.tilt)), -1 if self.flip else 1
        return [
            (
                OVERSAMPLING * (self.ground[0] + side * self.unit * (cos * x - sin * y)),
                OVERSAMPLING * (self.ground[1] - self.unit * (sin * x + cos * y)),
            )
            for x, y in points
        ]

    def poly(self, paint: Paint | None, *points: Point) -> None:
        """A polygon; here and below, paint None cuts a hole."""
        self._draw.polygon(self._place(points), fill=self._number(paint))

    def blob(self, paint: Paint | None, *points: Point) -> None:
        """A closed smooth outline."""
        self.poly(paint, *smooth(points, closed=True))

    def oval(self, paint: Paint | None, x: float, y: float, rx: float, ry: float | None = None) -> None:
        """An ellipse about (x, y)."""
        self.poly(paint, *_oval(x, y, rx, rx if ry is None else ry))

    def box(self, paint: Paint | None, x0: float, y0: float, x1: float, y1: float, corner: float = 0.0) -> None:
        """A rectangle with rounded corners."""
        c = min(corner, (x1 - x0) / 2, (y1 - y0) / 2)
        k = 0.3 * c
        self.poly(
            paint,
            *((x0 + c, y0), (x1 - c, y0), (x1 - k, y0 + k), (x1, y0 + c), (x1, y1 - c), (x1 - k, y1 - k)),
            *((x1 - c, y1), (x0 + c, y1), (x0 + k, y1 - k), (x0, y1 - c), (x0, y0 + c), (x0 + k, y0 + k)),
        )

    def ring(self, paint: Paint | None, x: float, y: float, radius: float, width: float) -> None:
        """A circle line."""
        outline = _oval(x, y, radius, radius)
        self._stroke(paint, [*outline, *outline[:2]], width, width)

    def line(self, paint: Paint | None, width: float, *points: Point) -> None:
        """Straight strokes with round ends."""
        self._stroke(paint, list(points), width, width)

    def limb(self, paint: Paint | None, start: float, end: float, *points: Point) -> None:
        """A smooth stroke whose width goes from `start` to `end`."""
        self._stroke(paint, smooth(points, closed=False), start, end)

    def _stroke(self, paint: Paint | None, points: list[Point], start: float, end: float) -> None:
        placed, number = self._place(points), self._number(paint)
        widths = np.linspace(start, end, len(placed)) * self.unit * OVERSAMPLING
        for k, ((x, y), width) in enumerate(zip(placed, widths, strict=True)):
            r = max(float(width), 1.0) / 2
            self._draw.ellipse((x - r, y - r, x + r, y + r), fill=number)
            if k:
                self._draw.line((placed[k - 1], (x, y)), fill=number, width=max(1, round(float(width))))

    def render(self, rng: np.random.Generator, light: Point) -> tuple[Array, Array]:
        """The lit colours (H, W, 3), weighted by coverage, and the coverage (H, W), both in 0..1.

        Args:
            rng: for the textures.
            light: unit vector (x, y), in the image, towards the light.
        """
        colours, total = np.zeros((*self.shape, 3), np.float32), np.zeros(self.shape, np.float32)
        for number, paint in enumerate(self.paints, start=1):
            table = [255 if value == number else 0 for value in range(256)]
            share = self._canvas.point(table).reduce(OVERSAMPLING)
            box = share.getbbox()
            if box is None:  # painted over
                continue
            window = (slice(box[1], box[3]), slice(box[0], box[2]))
            coverage = np.asarray(share, dtype=np.float32)[window] / np.float32(255)
            colours[window] += lit(paint, coverage, rng, self.unit, light) * coverage[..., None]
            total[window] += coverage
        return colours, np.minimum(total, 1.0)


def smooth(points: Sequence[Point], *, closed: bool, steps: int = 8) -> list[Point]:
    """Points on the Catmull-Rom spline through `points`."""
    knots = np.asarray(points, dtype=np.float64)
    knots = np.concatenate([knots[-1:], knots, knots[:2]] if closed else [knots[:1], knots, knots[-1:]])
    a, b, c, d = (knots[k : len(knots) - 3 + k, None] for k in range(4))
    t = np.linspace(0.0, 1.0, steps, endpoint=False)[None, :, None]
    curve = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * (b - c) + d - a) * t**3)
    sampled = [(float(x), float(y)) for x, y in curve.reshape(-1, 2)]
    return sampled if closed else [*sampled, points[-1]]


def _oval(x: float, y: float, rx: float, ry: float) -> list[Point]:
    angles = np.linspace(0.0, 2 * np.pi, 36, endpoint=False)
    return [(x + rx * float(np.cos(a)), y + ry * float(np.sin(a))) for a in angles]
