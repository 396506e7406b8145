"""A check of every file of a data set before training: what is wrong, and how often each class occurs."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from rich.console import Console, Group, RenderableType
from rich.progress import track
from rich.table import Table
from rich.text import Text

from src.core.errors import InputError, printable
from src.core.machine import usable_cores
from src.data.classes import VOC_CLASSES, VOID
from src.data.decoding import FileInputError
from src.data.folder import VOCFolder

SHOWN = 10  # examples listed per problem
T = TypeVar("T")
BAR = 16  # characters of the longest bar in the table


@dataclass(frozen=True)
class Report:
    """The result of `inspect`.

    Attributes:
        problems: one line each; empty if nothing is wrong.
        counts: split -> images listed.
        pixels: split -> (256,) int64 pixels per label, over the valid masks.
    """

    problems: list[str]
    counts: dict[str, int]
    pixels: dict[str, NDArray[np.int64]]

    @property
    def pixel_share(self) -> dict[str, NDArray[np.float64]]:
        """Split -> (21,) share of each class in the labelled pixels: sums to 1, or all 0 if no pixel is labelled."""
        shares = {}
        for split, pixels in self.pixels.items():
            labelled = pixels[: len(VOC_CLASSES)]
            shares[split] = labelled / max(int(labelled.sum()), 1)
        return shares

    @property
    def void_share(self) -> dict[str, float]:
        """Split -> share of `VOID` in all pixels."""
        return {split: float(pixels[VOID] / max(int(pixels.sum()), 1)) for split, pixels in self.pixels.items()}

    def render(self) -> RenderableType:
        """The table of shares and the list of problems, for a terminal of 80 columns and up."""
        findings = [Text.assemble(("✗ ", "bold red"), printable(problem)) for problem in self.problems]
        return Group(self._table(), *(findings or [Text("✓ no problems found", style="green")]))

    def _table(self) -> Table:
        shares = self.pixel_share
        # No bar for the background: beside it, the bars of all other classes would vanish.
        longest = max((float(share[1:].max()) for share in shares.values()), default=0.0)
        table = Table(title="share of labelled pixels", title_justify="left", box=None, pad_edge=False)
        table.add_column("class")
        for split, count in self.counts.items():
            table.add_column(f"{split}\n{count:,} images", justify="right", no_wrap=True)
            table.add_column("", width=BAR, no_wrap=True)
        for label, name in enumerate(VOC_CLASSES):
            cells: list[Text] = []
            for share in shares.values():
                bar = "━" * round(BAR * float(share[label]) / longest) if label and longest else ""
                cells += [_percent(float(share[label])), Text(bar, style="cyan")]
            table.add_row(name, *cells)
        void = [(_percent(share), Text("of all pixels", style="dim")) for share in self.void_share.values()]
        table.add_row(Text("void", style="dim"), *itertools.chain.from_iterable(void))
        return table


def inspect(
    folder: VOCFolder, lists: Mapping[str, str | None], expected: Mapping[str, int | None] | None = None
) -> Report:
    """Reads every image and mask of the splits; a bad file is reported, not raised.

    Args:
        folder: the data set.
        lists: split -> list name or path, see `VOCFolder.ids`; None leaves the split out.
        expected: split -> expected number of images; None, or a split without a number, is not compared.
    """
    problems: list[str] = []
    splits: dict[str, list[str]] = {}
    for split, name in lists.items():
        if name is None:
            continue
        try:
            splits[split] = folder.ids(name)
        except InputError as error:
            problems.append(f"{split}: {error}")
            splits[split] = []
    for split, ids in splits.items():
        wanted = (expected or {}).get(split)
        if wanted is not None and len(ids) != wanted:
            problems.append(f"{split}: {len(ids):,} images listed, {wanted:,} expected")
    for (first, ids), (second, others) in itertools.combinations(splits.items(), 2):
        if shared := set(ids) & set(others):
            problems.append(f"{first} and {second}: {_some(sorted(shared), 'image')} in both")
    pixels = {}
    for split, ids in splits.items():
        pixels[split], faults = _read_all(folder, ids, split=split)
        problems += [f"{split}: {_some(examples, 'file')} {fault}" for fault, examples in faults.items()]
    return Report(problems=problems, counts={split: len(ids) for split, ids in splits.items()}, pixels=pixels)


def _read_all(folder: VOCFolder, ids: list[str], *, split: str) -> tuple[NDArray[np.int64], dict[str, list[str]]]:
    """Pixels per label, (256,) int64, and per kind of fault the bad files."""
    pixels = np.zeros(256, dtype=np.int64)
    faults: defaultdict[str, list[str]] = defaultdict(list)
    with ThreadPoolExecutor(usable_cores()) as pool:  # decoders release the interpreter lock
        results = pool.map(lambda image_id: _look(folder, image_id), ids)
        console = Console(stderr=True, markup=False, emoji=False)
        for found, wrong in track(results, description=f"reading {split}", total=len(ids), console=console):
            pixels += found
            for fault, example in wrong:
                faults[fault].append(example)
    return pixels, dict(faults)


def _look(folder: VOCFolder, image_id: str) -> tuple[NDArray[np.int64], list[tuple[str, str]]]:
    """For one image and its mask: pixels per label, (256,) int64, and the faults as (fault, example).

    A fault is what a training would raise: the same functions read the files.
    """
    faults: list[tuple[str, str]] = []

    def tried(read: Callable[[], T], path: Path) -> T | None:
        try:
            return read()
        except FileInputError as error:
            detail = f" ({error.detail})" if error.detail else ""
            faults.append((error.kind, f"{path.parent.name}/{path.name}{detail}"))
            return None

    mask_path = folder.mask_path(image_id)
    image = tried(lambda: folder.read_image(image_id), folder.image_path(image_id))
    mask = tried(lambda: folder.read_mask(image_id), mask_path)
    if mask is None:
        return np.zeros(256, dtype=np.int64), faults
    if image is not None:
        tried(lambda: folder.check_sizes(image_id, image, mask), mask_path)
    return np.bincount(mask.ravel(), minlength=256), faults


def _some(examples: Iterable[str], noun: str) -> str:
    """'2 files (a, b)', with at most `SHOWN` of them spelled out."""
    names = list(examples)
    more = [f"{len(names) - SHOWN:,} more"] if len(names) > SHOWN else []
    return f"{len(names):,} {noun}{'s' if len(names) > 1 else ''} ({', '.join(names[:SHOWN] + more)})"


def _percent(share: float) -> Text:
    """'12.34 %', or 'none' in grey: a class that never occurs should catch the eye."""
    return Text(f"{100 * share:.2f} %") if share else Text("none", style="dim")
