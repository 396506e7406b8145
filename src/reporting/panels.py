"""Pictures of one image: the image, the truth, the labels of each variant, and their errors."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from src.data.classes import Classes, Labels, Pixels
from src.data.inspection.overlay import LINE, Legend, hatched, overlay

_WIDTH = 250  # px of one picture
_GAP = 6
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


def _errors(labels: Labels, target: Labels, known: npt.NDArray[np.bool_]) -> Pixels:
    """(H, W, 3): red where known pixels differ, grey where they agree, hatched where the truth is void."""
    picture: Pixels = np.stack([_RIGHT, _WRONG])[(labels != target).astype(np.intp)]
    return np.where(known[..., None], picture, hatched(*known.shape))


def _compose(columns: list[tuple[str, Pixels, str, Pixels]], seen: list[int], classes: Classes) -> Image.Image:
    height = round(_WIDTH * columns[0][1].shape[0] / columns[0][1].shape[1])
    font = ImageFont.load_default(13)
    width = _GAP + len(columns) * (_WIDTH + _GAP)
    legend = Legend(seen, classes, width, font, gap=_GAP)
    top = 2 * (LINE + height + _GAP) + _GAP
    canvas = Image.new("RGB", (width, top + legend.height), "white")
    draw = ImageDraw.Draw(canvas)
    for column, (upper_title, upper, lower_title, lower) in enumerate(columns):
        x = _GAP + column * (_WIDTH + _GAP)
        for row, (title, pixels) in enumerate([(upper_title, upper), (lower_title, lower)]):
            y = row * (LINE + height + _GAP)
            draw.text((x, y + 3), title, fill="black", font=font)
            canvas.paste(Image.fromarray(pixels).resize((_WIDTH, height), Image.Resampling.BILINEAR), (x, y + LINE))
    legend.draw(draw, top)
    return canvas
