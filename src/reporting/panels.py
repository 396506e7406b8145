"""Pictures of one image: the image, the truth, the labels of each variant, and their errors."""

import io
import json
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from src.data.classes import Classes, Labels, Pixels
from src.data.inspection.overlay import LINE, Legend, hatched, overlay

WIDTH = 250  # px of one picture
GAP = 6
LAYOUT = "seglab"  # key of the text in a PNG file that says what its columns are
_RIGHT = np.array([222, 226, 230], dtype=np.uint8)
_WRONG = np.array([204, 37, 41], dtype=np.uint8)


def panel(rgb: Pixels, target: Labels, labels: Mapping[str, Labels], classes: Classes) -> Image.Image:
    """Two rows: image and predictions; truth and, below each prediction, its errors.

    Args:
        rgb: (H, W, 3).
        target: (H, W), labels or void.
        labels: variant to (H, W).
        classes: of the labels.

    Returns:
        RGB picture. Void is hatched, errors are red, correct pixels are grey.
    """
    known = target != classes.void
    columns = [("image", rgb, "truth", overlay(rgb, target, classes))]
    for name, prediction in labels.items():
        wrong = (prediction != target) & known
        share = 100 * wrong.sum() / max(1, known.sum())
        columns.append(
            (
                name.replace("_", " "),
                overlay(rgb, prediction, classes),
                f"{share:.1f} % wrong",
                _errors(prediction, target, known),
            )
        )
    seen = sorted({int(v) for v in np.unique(target)} | {int(v) for p in labels.values() for v in np.unique(p)})
    return _compose(columns, seen, classes)


def as_png(picture: Image.Image, variants: Mapping[str, Labels]) -> bytes:
    """A panel of these variants as a PNG file that says what its columns are, for `src.reporting.output.images`."""
    above = next(iter(variants.values())).shape
    height = _height(above[0], above[1])
    layout, out = PngInfo(), io.BytesIO()
    layout.add_text(LAYOUT, json.dumps({"variants": [*variants], "height": height}))
    picture.save(out, format="PNG", pnginfo=layout)
    return out.getvalue()


def _height(rows: int, columns: int) -> int:
    """Px of one picture of an image of this size."""
    return max(1, round(WIDTH * rows / columns))


def _errors(labels: Labels, target: Labels, known: npt.NDArray[np.bool_]) -> Pixels:
    """(H, W, 3): red where known pixels differ, grey where they agree, hatched where the truth is void."""
    picture: Pixels = np.stack([_RIGHT, _WRONG])[(labels != target).astype(np.intp)]
    return np.where(known[..., None], picture, hatched(*known.shape))


def _compose(columns: list[tuple[str, Pixels, str, Pixels]], seen: list[int], classes: Classes) -> Image.Image:
    height = _height(*columns[0][1].shape[:2])
    font = ImageFont.load_default(13)
    width = GAP + len(columns) * (WIDTH + GAP)
    legend = Legend(seen, classes, width, font, gap=GAP)
    top = 2 * (LINE + height + GAP) + GAP
    canvas = Image.new("RGB", (width, top + legend.height), "white")
    draw = ImageDraw.Draw(canvas)
    for column, (upper_title, upper, lower_title, lower) in enumerate(columns):
        x = GAP + column * (WIDTH + GAP)
        for row, (title, pixels) in enumerate([(upper_title, upper), (lower_title, lower)]):
            y = row * (LINE + height + GAP)
            draw.text((x, y + 3), title, fill="black", font=font)
            canvas.paste(Image.fromarray(pixels).resize((WIDTH, height), Image.Resampling.BILINEAR), (x, y + LINE))
    legend.draw(draw, top)
    return canvas
