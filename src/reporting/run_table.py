"""The table of a finished run on the screen, from its `results.json`."""

import shlex
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from src.core.errors import printable
from src.runs.folder import RunFolder


def variants_table(results: dict[str, Any]) -> Table:
    """Mean IoU and pixel accuracy per variant in per cent, with the difference of mIoU to `none`."""
    rows = results["variants"]
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("variant", overflow="fold")
    for heading in ("mIoU %", "to none", "pixel acc. %"):
        table.add_column(heading, justify="right")
    base = rows.get("none", {}).get("miou")
    for name, row in rows.items():
        difference = "" if base is None or name == "none" else f"{100 * (row['miou'] - base):+.4f}"
        table.add_row(Text(name), f"{100 * row['miou']:.4f}", difference, f"{100 * row['pixel_accuracy']:.4f}")
    return table


def show(folder: RunFolder, console: Console) -> None:
    """Print the table of a folder with results, and the paths of its files."""
    results = folder.read_results()
    title = f"{results['images']} images of {results['data']}, protocol {results['protocol']}"
    crf = results.get("crf", {})
    used = f", CRF {crf['name']}" if crf.get("effective_sigma_rgb") else ""
    console.print(Text(f"\n{title}{used}", style="bold"), soft_wrap=True)
    console.print(variants_table(results))
    console.print(Text(f"run folder  {printable(folder.path)}"), soft_wrap=True)
    if folder.panels.is_dir():
        console.print(Text(f"pictures    {printable(folder.panels)}"), soft_wrap=True)
    if folder.best.exists():
        word = shlex.quote(f"run={printable(folder.path)}")
        console.print(Text(f"score again python -m src.evaluate {word}\n"), soft_wrap=True)
