"""A paint: its colours, its texture, and how light shades a part that is painted with it."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from src.data.sources.shapes.drawing.textures import Array, Texture, plain

Colour = tuple[float, float, float]  # red, green, blue in 0..1


@dataclass(frozen=True, eq=False)
class Paint:
    """A colour that a texture mixes with a second one; `relief` and `gloss` in 0..1 set how light shades it."""

    colour: Colour
    second: Colour | None = None  # None: a darker tone of `colour`
    texture: Texture = plain
    relief: float = 0.7
    gloss: float = 0.0

    def tone(self, factor: float) -> Paint:
        """The same paint, darker (factor < 1) or lighter; it is shaded separately."""
        return Paint(scale(self.colour, factor), self.second and scale(self.second, factor), self.texture, self.relief)


def scale(colour: Colour, factor: float) -> Colour:
    """A colour times a factor, clipped to 0..1."""
    red, green, blue = (min(max(channel * factor, 0.0), 1.0) for channel in colour)
    return red, green, blue


def pick(rng: np.random.Generator, *hexes: str, jitter: float = 1.0) -> Colour:
    """One of the colours written "rrggbb", with small random changes in hue, saturation and value."""
    chosen = hexes[int(rng.integers(len(hexes)))]
    red, green, blue = (int(chosen[k : k + 2], 16) / 255 for k in (0, 2, 4))
    hue, saturation, value = colorsys.rgb_to_hsv(red, green, blue)
    shift = rng.uniform(-1, 1, 3) * jitter * (0.018, 0.08, 0.07)
    saturation = saturation * (1 + 1.5 * float(shift[1]))
    return colorsys.hsv_to_rgb(
        (hue + float(shift[0])) % 1, min(max(saturation, 0), 1), min(max(value + float(shift[2]), 0), 1)
    )


def lit(paint: Paint, coverage: Array, rng: np.random.Generator, unit: float, light: tuple[float, float]) -> Array:
    """Colours (H, W, 3) in 0..1 of a part: its texture, shaded as if the silhouette were inflated."""
    mix = paint.texture(rng, coverage.shape, unit)[..., None]
    second = scale(paint.colour, 0.72) if paint.second is None else paint.second
    colour = np.array(paint.colour, np.float32) * (1 - mix) + np.array(second, np.float32) * mix
    slope = np.zeros(coverage.shape, np.float32)
    padded = np.pad(coverage, 3)
    for sigma, weight in ((0.025 * unit, 0.5), (0.09 * unit, 0.9)):
        across, down = np.gradient(ndimage.gaussian_filter(padded, sigma, mode="constant"))[::-1]
        slope -= weight * sigma * (across * light[0] + down * light[1])[3:-3, 3:-3]
    shade = 1.0 + paint.relief * 1.1 * slope
    shine = paint.gloss * np.clip(slope - 0.1, 0.0, 1.0) * 1.6
    return np.asarray(np.clip(colour * shade[..., None] + shine[..., None], 0.0, 1.0), dtype=np.float32)


BLACK = Paint((0.12, 0.12, 0.14), gloss=0.4)
STEEL = Paint((0.72, 0.74, 0.77), (0.55, 0.57, 0.6), gloss=0.8)
