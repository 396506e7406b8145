"""Backgrounds, one function per scene: an image (H, W, 3) in 0..1 whose ground begins at the row `horizon`.

The table in `scenes.py` lists what else belongs to a scene.
"""

from __future__ import annotations

import numpy as np

from src.data.sources.shapes.drawing.paint import Colour, pick, scale
from src.data.sources.shapes.drawing.textures import Array, clouds, noise


def sky(rng: np.random.Generator, shape: tuple[int, int], horizon: int) -> Array:
    """Clouds over a low line of hills."""
    image = _heavens(rng, shape)
    if horizon < shape[0]:
        _hills(rng, image, horizon, "6c8f7c", "7c9a94")
    return image


def sea(rng: np.random.Generator, shape: tuple[int, int], horizon: int) -> Array:
    """Waves that grow towards the viewer."""
    image, depth = _heavens(rng, shape), _ramp(shape[0] - horizon, shape[1])
    swell = np.zeros_like(depth)
    for cell, weight in ((2.0, 1 - depth), (4.0, depth)):
        swell += weight * noise(rng, depth.shape, cell, stretch=5)
    water = _blend(pick(rng, "7fb4c8", "86b0c4"), pick(rng, "1f5f86", "24707f", "2a6a94"), depth)
    image[horizon:] = water * (0.8 + 0.4 * swell)[..., None] + 0.25 * np.clip(swell - 0.68, 0, 1)[..., None]
    return image


def meadow(rng: np.random.Generator, shape: tuple[int, int], horizon: int) -> Array:
    """Grass with a few flowers, hills behind."""
    image = _heavens(rng, shape)
    _hills(rng, image, horizon, "5f8560", "7d9a6a", "6f8f86")
    _field(rng, image, horizon, pick(rng, "5d9440", "6a9a3c", "7f9c44"), pick(rng, "a3bd6a", "98b866"), roughness=0.5)
    for x, y in zip(rng.integers(0, shape[1], 14), rng.integers(horizon + 6, shape[0], 14), strict=True):
        image[y, x] = pick(rng, "f8e060", "f8f4f0", "e8a0c0")
    return image


def street(rng: np.random.Generator, shape: tuple[int, int], horizon: int) -> Array:
    """House fronts with windows, a pavement, a road with a dashed line."""
    image, x = _heavens(rng, shape), 0
    while x < shape[1]:
        right, top = x + int(rng.integers(26, 50)), int(horizon * rng.uniform(0.05, 0.5))
        front = pick(rng, "c9a58a", "b7aca0", "d8c8a8", "a89890", "c8b4b0")
        image[top:horizon, x:right] = _rgb(front) * (0.94 + 0.1 * noise(rng, (1, 1), 4))
        image[top : top + 2, x:right] *= 0.75
        pane = scale(pick(rng, "6f8494", "54687a"), rng.uniform(0.8, 1.1))
        for row in range(top + 6, horizon - 9, 14):
            for column in range(x + 4, right - 7, 10):
                image[row : row + 8, column : column + 5] = pane
                image[row + 8, column - 1 : column + 6] *= 1.08
        x = right
    pavement = max(3, (shape[0] - horizon) // 6)
    _field(rng, image, horizon, pick(rng, "c4bdb4", "b4b0aa"), pick(rng, "b8b2aa"), roughness=0.12)
    _field(rng, image, horizon + pavement, pick(rng, "6d6f74", "66676e"), pick(rng, "84868a"), roughness=0.22)
    image[horizon + pavement : horizon + pavement + 2] *= 0.8
    dash, row = int(rng.integers(0, 30)), horizon + int((shape[0] - horizon) * 0.7)
    for left in range(-dash, shape[1], 44):
        image[row : row + 3, max(left, 0) : max(left + 24, 0)] = (0.86, 0.85, 0.8)
    return image


def rail(rng: np.random.Generator, shape: tuple[int, int], horizon: int) -> Array:
    """Ballast, sleepers and rails before a line of bushes."""
    image = _heavens(rng, shape)
    _hills(rng, image, horizon - 4, "587048", "6d8050", "66785c")
    _field(rng, image, horizon, pick(rng, "8f8478", "857c74"), pick(rng, "a49a8c"), roughness=0.55)
    for share in (0.45, 0.8):
        row, columns = horizon + int((shape[0] - horizon) * share), np.arange(shape[1])
        sleepers = (columns + int(rng.integers(9))) % 9 < 4
        image[row - 1 : row + 5, sleepers] = _rgb(pick(rng, "5f4a3a")) * rng.uniform(0.9, 1.1)
        image[row : row + 2] = (0.68, 0.68, 0.7)
        image[row + 2] = (0.3, 0.26, 0.25)
    return image


def room(rng: np.random.Generator, shape: tuple[int, int], horizon: int) -> Array:
    """Painted or papered wall with a picture or window, skirting board, floorboards."""
    image = _wall(rng, shape, "e8dcc4", "d8dfd8", "e6d2c4", "cfd8e0", "efe6d0")
    height, width, left = int(horizon * 0.5), int(rng.integers(24, 46)), int(rng.integers(4, shape[1] - 50))
    frame = (slice(6, 6 + height), slice(left, left + width))
    view = _heavens(rng, (height - 4, width - 4))
    if rng.random() < 0.5:
        view = _blend(pick(rng, "e0b080", "a8b8a0"), pick(rng, "8a6a70", "d8c8a0"), clouds(rng, view.shape[:2], 14))
    image[frame] = pick(rng, "f4f0e8", "a07a50", "d8b878")
    image[8 : 4 + height, left + 2 : left + width - 2] = view
    _field(rng, image, horizon, pick(rng, "b58a5c", "c49a6c", "a67c52"), pick(rng, "c8a47c"), roughness=0.12)
    rows, columns = np.indices((shape[0] - horizon, shape[1]), dtype=np.float32)
    spread = (columns - shape[1] / 2) / (rows + 0.7 * horizon)  # boards run to a vanishing point on the wall
    image[horizon:][np.abs((spread * 9 + rng.random()) % 1 - 0.5) < 0.035] *= 0.82
    image[horizon - 4 : horizon] = (0.95, 0.93, 0.9)
    image[horizon] *= 0.7
    return image


def kitchen(rng: np.random.Generator, shape: tuple[int, int], horizon: int) -> Array:
    """Tiles over a worktop."""
    image, tile = _wall(rng, shape, "dfe6e4", "e8e0d0", "d4e2e6", "e6e6e0"), int(rng.integers(14, 20))
    for row in range(0, horizon, tile):
        image[row] *= 0.87
        offset = tile // 2 * (row // tile % 2)
        for column in range(offset, shape[1], tile):
            image[row : row + tile, column] *= 0.87
            image[row + 1 : row + tile, column + 1 : column + tile] *= rng.uniform(0.96, 1.03)
    shape = (shape[0] - horizon, shape[1])
    grain = clouds(rng, shape, 3.5, stretch=9)
    image[horizon:] = _blend(pick(rng, "b98a5a", "a87a50", "8f8a86"), pick(rng, "d8b080", "c4a078"), grain)
    image[horizon : horizon + 2] *= 0.8
    return image


def _heavens(rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    image = _blend(pick(rng, "4f93d6", "5aa0e0", "6aa9dc"), pick(rng, "cfe6f5", "f3e2cf", "dcecf4"), _ramp(*shape))
    cover = np.clip((clouds(rng, shape, shape[0] / 3, stretch=2.2) - 0.47) * 3.2, 0, 0.9)[..., None]
    return np.asarray(image * (1 - cover) + _rgb((0.97, 0.97, 0.98)) * cover, dtype=np.float32)


def _hills(rng: np.random.Generator, image: Array, horizon: int, *hexes: str) -> None:
    height, width = image.shape[:2]
    ridge = horizon - height * 0.13 * noise(rng, (1, width), width / 4)[0]
    far = np.clip(np.indices((height, width))[0] - ridge + 0.5, 0, 1)[..., None]
    woods = _blend(pick(rng, *hexes), (0.3, 0.42, 0.35), 0.7 * noise(rng, (height, width), 5))
    image += far * (woods - image)


def _field(
    rng: np.random.Generator, image: Array, horizon: int, near: Colour, far: Colour, *, roughness: float
) -> None:
    shape = (image.shape[0] - horizon, image.shape[1])
    texture = 0.6 * noise(rng, shape, 1.6, stretch=0.8) + 0.4 * clouds(rng, shape, 12, stretch=3)
    image[horizon:] = _blend(far, near, _ramp(*shape)) * (1 + roughness * (texture - 0.5))[..., None]


def _wall(rng: np.random.Generator, shape: tuple[int, int], *hexes: str) -> Array:
    rows, columns = np.indices(shape, dtype=np.float32)
    glow = np.exp(-((columns / shape[1] - rng.random()) ** 2) * 3 - (rows / shape[0]) ** 2)
    papered = rng.random() < 0.4
    pattern = 0.02 * np.sign(np.sin(columns * rng.uniform(0.45, 0.8))) if papered else 0.03 * noise(rng, shape, 20)
    return np.asarray(_rgb(pick(rng, *hexes)) * (0.86 + 0.16 * glow + pattern)[..., None], dtype=np.float32)


def _blend(a: Colour, b: Colour, share: Array) -> Array:
    return np.asarray(_rgb(a) + (_rgb(b) - _rgb(a)) * share[..., None], dtype=np.float32)


def _rgb(colour: Colour) -> Array:
    return np.array(colour, dtype=np.float32)


def _ramp(rows: int, columns: int) -> Array:
    return np.repeat(np.linspace(0, 1, rows, dtype=np.float32)[:, None], columns, axis=1)
