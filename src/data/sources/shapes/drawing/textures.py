"""Noise, and textures made of it: fields (H, W) in 0..1, the share of a paint's second colour at each pixel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

Array = np.ndarray[tuple[Any, ...], np.dtype[np.float32]]
Texture = Callable[[np.random.Generator, tuple[int, int], float], Array]  # rng, (H, W), pixels per unit


def noise(rng: np.random.Generator, shape: tuple[int, int], cell: float, *, stretch: float = 1.0) -> Array:
    """Smooth noise with blobs of about `cell` pixels, `stretch` times wider than high; (H, W), mean 0.5, in 0..1."""
    height, width = shape
    rows, columns = int(height / max(cell, 1.0)) + 3, int(width / max(cell * stretch, 1.0)) + 3
    coarse = Image.fromarray(rng.random((rows, columns), dtype=np.float32))
    inside = (1.0, 1.0, columns - 1.0, rows - 1.0)  # the rim of the coarse grid would be replicated, so flat
    fine = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC, box=inside), dtype=np.float32)
    return np.asarray(np.clip(fine, 0.0, 1.0), dtype=np.float32)


def clouds(rng: np.random.Generator, shape: tuple[int, int], cell: float, *, stretch: float = 1.0) -> Array:
    """Three octaves of `noise`, (H, W) in 0..1."""
    octaves = [noise(rng, shape, cell / 2**k, stretch=stretch) * 0.5**k for k in range(3)]
    return np.asarray(sum(octaves) / 1.75, dtype=np.float32)


def plain(rng: np.random.Generator, shape: tuple[int, int], unit: float) -> Array:
    """A faint unevenness, as of painted metal."""
    return 0.25 * noise(rng, shape, 0.3 * unit)


def fur(rng: np.random.Generator, shape: tuple[int, int], unit: float) -> Array:
    """Short hair over soft large shades."""
    return 0.5 * noise(rng, shape, 0.25 * unit) + 0.5 * noise(rng, shape, 1.5, stretch=0.5)


def wool(rng: np.random.Generator, shape: tuple[int, int], unit: float) -> Array:
    """Curls: dark creases between bright lumps."""
    lumps = noise(rng, shape, max(0.07 * unit, 2.5))
    return np.asarray(1.0 - np.abs(lumps - 0.5) * 3.0, dtype=np.float32)


def patches(rng: np.random.Generator, shape: tuple[int, int], unit: float) -> Array:
    """Large sharp-edged patches."""
    return _step(noise(rng, shape, 0.21 * unit), 0.5)


def tabby(rng: np.random.Generator, shape: tuple[int, int], unit: float) -> Array:
    """Wavy cross stripes."""
    rows = np.arange(shape[0], dtype=np.float32)[:, None] / unit
    waves = np.sin(2 * np.pi * (rows * 7.0 + 1.6 * noise(rng, shape, 0.25 * unit)))
    return np.asarray(0.5 + 0.5 * waves, dtype=np.float32)


def wood(rng: np.random.Generator, shape: tuple[int, int], unit: float) -> Array:
    """Grain along x."""
    return clouds(rng, shape, max(0.05 * unit, 2.0), stretch=7.0)


def leaves(rng: np.random.Generator, shape: tuple[int, int], unit: float) -> Array:
    """Light and dark dabs."""
    return _step(noise(rng, shape, max(0.06 * unit, 2.0)), 0.5, 0.5)


def weave(rng: np.random.Generator, shape: tuple[int, int], unit: float) -> Array:
    """A fine check, as of upholstery."""
    rows, columns = np.indices(shape, dtype=np.float32)
    check = 0.5 + 0.25 * (np.sin(rows * 1.9) + np.sin(columns * 1.9))
    return np.asarray(0.6 * check + 0.4 * noise(rng, shape, 0.2 * unit), dtype=np.float32)


def stripes(rng: np.random.Generator, shape: tuple[int, int], unit: float) -> Array:
    """Level stripes, as of a jersey."""
    rows = np.arange(shape[0], dtype=np.float32)[:, None] / unit + rng.random()
    return np.broadcast_to(_step(np.sin(2 * np.pi * 13 * rows), 0.0, 0.8), shape)


def picture(rng: np.random.Generator, shape: tuple[int, int], unit: float) -> Array:
    """A glowing, blurred scene, as on a screen."""
    return _step(noise(rng, shape, 0.3 * unit, stretch=1.5), 0.5, 0.6)


def _step(values: Array, at: float, softness: float = 0.12) -> Array:
    return np.asarray(np.clip((values - at) / softness + 0.5, 0.0, 1.0), dtype=np.float32)
