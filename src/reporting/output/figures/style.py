"""How figures look: colours that colour-blind readers can separate (Okabe and Ito 2008), marks, labels."""

from typing import Any

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
LINES = ("-", "--", "-.", ":")
MARKS = {
    **{"better": ("^", "#0072B2"), "worse": ("v", "#D55E00"), "": ("D", "black")},
    **{"not separable": ("o", "#666666"), "not comparable": ("x", "#999999")},
}
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_LONGEST = 40  # characters of a label


def text(label: str) -> str:
    """A label that Matplotlib draws as it is: `$` makes no formula, and `_` does not hide it from a legend."""
    short = label if len(label) <= _LONGEST else f"{label[: _LONGEST - 4]} ..."
    return (" " if short.startswith("_") else "") + short.replace("$", r"\$")
