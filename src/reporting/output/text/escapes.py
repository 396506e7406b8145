"""Texts as Markdown, CSV and LaTeX show them: names of runs and classes are text, whatever is in them."""

import re
from collections.abc import Sequence


def in_markdown(text: str) -> str:
    """A text on one line that Markdown shows as it is: no table cell, link, formula or HTML arises from it."""
    text = re.sub(r"&(?=#?\w+;)", "&amp;", text)
    text = re.sub(r"<(?=[A-Za-z/!?])", "&lt;", text)
    return re.sub(r"([\\`*|\[\]~$]|(?<!\w)_|_(?!\w))", r"\\\1", text)


def line(cells: Sequence[str]) -> str:
    """A line of a table in Markdown."""
    return "| " + " | ".join(cells) + " |"


def in_csv(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text


_LATEX = {c: f"\\{c}" for c in "%_&#{}$"} | {c: f"${c}$" for c in "<>+|"}
_LATEX |= {"\\": r"\textbackslash{}", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}"}
_LATEX |= {"`": r"\textasciigrave{}", "\N{EN DASH}": r"\textendash{}", "\N{MINUS SIGN}": "$-$"}


def in_latex(text: str) -> str:
    """A text that LaTeX sets as it is."""
    return re.sub("-(?=-)", "-{}", "".join(_LATEX.get(c, c) for c in text))


def with_minus(number: str) -> str:
    """A number or interval with minus signs instead of hyphens."""
    return re.sub(r"(^|\[|, )-(?=\d)", "\\1\N{MINUS SIGN}", number)
