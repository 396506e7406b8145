"""A report on disk: Markdown, CSV, LaTeX, figures and one HTML page, all of one table or none of them new."""

import errno
import io
import os
import re
import warnings
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from matplotlib.figure import Figure
from omegaconf import OmegaConf

from src.core.errors import InputError
from src.core.files.reading import open_regular, read_text
from src.core.files.whole import replacing
from src.reporting.comparison import Comparison
from src.reporting.output import formats, page
from src.reporting.output.figures.plots import FIGURES
from src.reporting.request import QUESTION, Question


def write(
    table: Comparison,
    commands: list[str],
    figures: dict[str, Figure],
    folder: Path,
    *,
    insert: str | None,
    images: Mapping[str, bytes],
) -> None:
    """Write every format of a table into a folder; if a Markdown file is named, also write the table between its marks.

    Either all files are new, or all are those of the earlier report. `images` are the files of the error browser.

    Raises:
        InputError: the folder cannot be written to, or the file has no marks for this table.
    """
    texts = {
        "table.md": formats.markdown(table),
        "table.csv": formats.csv_text(table),
        "table.tex": formats.latex(table),
    }
    files: dict[Path, bytes] = {}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # a name in a script that the font lacks
        texts["index.html"] = page.render(table, commands, figures, images=bool(images))
        for name, figure in figures.items():
            files[folder / f"{name}.pdf"] = _pdf(figure)
    files |= {folder / name: text.encode() for name, text in texts.items()}
    files |= {folder / name: content for name, content in images.items()}
    if insert is not None:
        file = Path(insert).resolve()  # a link stays a link
        files[file] = between_marks(file, table.name, texts["table.md"]).encode()
    write_together(folder, files)
    _remove_earlier(folder, files)


def _remove_earlier(folder: Path, files: Mapping[Path, bytes]) -> None:
    """Delete what is left of an earlier report in the folder: figures that are not drawn now, and the error browser."""
    pictures = [path for path in folder.glob("images/*.webp") if re.fullmatch(r"\d{6}(-\d+)?\.webp", path.name)]
    figures = [folder / f"{name}.pdf" for name in FIGURES]
    for path in (*pictures, *figures, folder / "images.html", folder / "images.txt"):
        if path not in files:
            path.unlink(missing_ok=True)


def _pdf(figure: Figure) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="pdf")
    return out.getvalue()


def write_together(folder: Path, files: Mapping[Path, bytes]) -> None:
    """Write each file whole beside its target, and put them in their places only once all are written.

    Args:
        folder: is made if needed.
        files: path to content.

    Raises:
        InputError: one cannot be written; then all targets are as before.
    """
    need = sum(map(len, files.values()))
    path = folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in files:
            if path.is_relative_to(folder):
                path.parent.mkdir(exist_ok=True)
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with ExitStack() as written:
            for path, content in files.items():
                _write(written.enter_context(replacing(path)), content)
    except (OSError, InputError) as error:
        reason = getattr(error, "strerror", None) or getattr(error.__cause__, "strerror", None) or error
        raise InputError(
            f"{path} cannot be written ({reason}), so {folder} stays as it was; the report needs {need:,} bytes: make "
            "room, or choose another folder with output=FOLDER."
        ) from error


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())  # a full disk may show only here, and must do so before the first file is in its place


def copy_runs(question: Question, folder: Path) -> None:
    """Copy what tables are made of: per finished run, its config, scores, counts and curves; and the question itself.

    All files are new, or none: `runs=FOLDER` then makes the same table, without checkpoints, data or pictures.

    Raises:
        InputError: two runs have folders of the same name, or the folder cannot be written to.
    """
    files: dict[Path, bytes] = {}
    names = []
    for cell in question.cells:
        if cell.scored is None or cell.run is None or not cell.is_done:
            continue
        name = cell.run.path.resolve().name
        name += f"-{cell.scored.path.name}" if cell.scored.path != cell.run.path else ""
        if name in names:
            raise InputError(f"records={folder}: two runs are named {name}; rename a run folder.")
        names.append(name)
        scores = cell.scored.config, cell.scored.results, *cell.scored.counts
        for path in (*scores, cell.run.metrics):
            if path.exists():
                with open_regular(path, way_out="leave this run out") as file:
                    files[folder / name / path.name] = file.read()
    asked = {"name": question.name, "question": question.text, "baseline": question.baseline, "runs": names}
    asked |= {} if question.names is None else {"names": question.names}
    files[folder / QUESTION] = OmegaConf.to_yaml(OmegaConf.create(asked)).encode()
    for name in names:
        (folder / name).mkdir(parents=True, exist_ok=True)
    write_together(folder, files)


def between_marks(file: Path, name: str, text: str) -> str:
    """The text of a Markdown file with `text` between `<!-- table: NAME -->` and the next `<!-- end -->`.

    Raises:
        InputError: the file or the marks are missing.
    """
    try:
        content = read_text(file, way_out="choose another file with insert=")
    except FileNotFoundError:
        raise InputError(f"insert={file}: there is no such file.") from None
    pattern = re.compile(rf"(<!-- table: {re.escape(name)} -->\r?\n).*?(<!-- end -->)", re.DOTALL)
    if not pattern.search(content):
        raise InputError(f"insert={file}: has no lines '<!-- table: {name} -->' and '<!-- end -->' around the table.")
    return pattern.sub(lambda found: f"{found[1]}\n{text}\n{found[2]}", content, count=1)
