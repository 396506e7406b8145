"""A report on disk: Markdown, CSV, LaTeX, figures and one HTML page, each file complete or absent."""

import re
from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure

from src.core.errors import InputError
from src.core.files import replacing
from src.reporting.comparison import Comparison
from src.reporting.output import formats, page
from src.runs.folder import RunFolder


def write(
    table: Comparison, commands: list[str], figures: dict[str, Figure], folder: Path, *, insert: str | None
) -> None:
    """Write every format of a table into a folder; if a Markdown file is named, also write the table between its marks.

    Raises:
        InputError: the folder cannot be written to, or the file has no marks for this table.
    """
    RunFolder(folder).create()
    texts: dict[str, Callable[[], str]] = {
        "table.md": lambda: formats.markdown(table),
        "table.csv": lambda: formats.csv_text(table),
        "table.tex": lambda: formats.latex(table),
        "index.html": lambda: page.render(table, commands, figures),
    }
    for name, text in texts.items():
        with replacing(folder / name) as temporary:
            temporary.write_text(text(), encoding="utf-8")
    for figure_name, figure in figures.items():
        with replacing(folder / f"{figure_name}.pdf") as temporary:
            figure.savefig(temporary, format="pdf")
    if insert is not None:
        put_between_marks(Path(insert), table.name, formats.markdown(table))


def put_between_marks(file: Path, name: str, text: str) -> None:
    """Replace the text between `<!-- table: NAME -->` and the next `<!-- end -->` of a Markdown file.

    Raises:
        InputError: the file or the marks are missing.
    """
    pattern = re.compile(rf"(<!-- table: {re.escape(name)} -->\n).*?(<!-- end -->)", re.DOTALL)
    try:
        content = file.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"insert={file}: cannot be read ({error.strerror}).") from error
    if not pattern.search(content):
        raise InputError(f"insert={file}: has no lines '<!-- table: {name} -->' and '<!-- end -->' around the table.")
    with replacing(file) as temporary:
        temporary.write_text(
            pattern.sub(lambda found: found[1] + "\n" + text + "\n" + found[2], content, count=1), encoding="utf-8"
        )
