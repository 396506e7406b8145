"""A check of every file of a data set before training: what is wrong, and how often each class occurs."""

from __future__ import annotations

import hashlib
import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
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
from src.data.classes import Classes
from src.data.files.decoding import FileInputError, orientation
from src.data.files.folder import ImageFolder

SHOWN = 10  # examples listed per problem
T = TypeVar("T")
BAR = 16  # characters of the longest bar in the table


@dataclass(frozen=True)
class Report:
    """The result of `inspect`.

    Attributes:
        classes: of the labels.
        problems: one line each; empty if nothing is wrong.
        splits: split -> ids of its images.
        counted: split -> number of its masks that can be read.
        turned: split -> number of images that an EXIF flag turns or mirrors.
        pixels: split -> (C + 1,) int64 pixels per class, and of void, over the valid masks.
    """

    classes: Classes
    problems: list[str]
    splits: dict[str, list[str]]
    counted: dict[str, int]
    turned: dict[str, int]
    pixels: dict[str, NDArray[np.int64]]

    @property
    def pixel_share(self) -> dict[str, NDArray[np.float64]]:
        """Split -> (C,) share of each class in the labelled pixels: sums to 1, or all 0 if no pixel is labelled."""
        return {split: pixels[:-1] / max(int(pixels[:-1].sum()), 1) for split, pixels in self.pixels.items()}

    @property
    def void_share(self) -> dict[str, float]:
        """Split -> share of void in all pixels."""
        return {split: float(pixels[-1] / max(int(pixels.sum()), 1)) for split, pixels in self.pixels.items()}

    def render(self) -> RenderableType:
        """The table of shares and the list of problems, for a terminal of 80 columns and up."""
        findings = [Text.assemble(("✗ ", "bold red"), printable(problem)) for problem in self.problems]
        table: list[RenderableType] = [self._table()] if any(self.splits.values()) else []
        if any(self.turned.values()):
            numbers = ", ".join(f"{count} of {split}" for split, count in self.turned.items() if count)
            flags = f"An EXIF flag turns or mirrors some images ({numbers}); their pixels are read as they are stored."
            table.append(Text(flags, style="yellow"))
        return Group(*table, *(findings or [Text("✓ no problems found", style="green")]))

    def _table(self) -> Table:
        shares = self.pixel_share
        # No bar for the background: beside it, the bars of all other classes would vanish.
        barred = [label for label in range(len(self.classes)) if label != self.classes.background]
        longest = max((float(share[barred].max()) for share in shares.values()), default=0.0)
        table = Table(title="share of labelled pixels", title_justify="left", box=None, pad_edge=False)
        table.add_column("class")
        for split, ids in self.splits.items():
            whole = self.counted[split] == len(ids)
            counted = "" if whole else f"\n{self.counted[split]:,} counted"
            table.add_column(f"{split}\n{_number(ids, 'image')}{counted}", justify="right", no_wrap=True)
            table.add_column("", width=BAR, no_wrap=True)
        for label, name in enumerate(self.classes.names):
            cells: list[Text] = []
            for share in shares.values():
                bar = "━" * round(BAR * float(share[label]) / longest) if label in barred and longest else ""
                cells += [_percent(float(share[label])), Text(bar, style="cyan")]
            table.add_row(Text(printable(name)), *cells)
        void = [(_percent(share), Text("of all pixels", style="dim")) for share in self.void_share.values()]
        table.add_row(Text("void", style="dim"), *itertools.chain.from_iterable(void))
        return table


def inspect(
    folder: ImageFolder,
    splits: Mapping[str, Callable[[], list[str]]],
    expected: Mapping[str, int | None] | None = None,
) -> Report:
    """Reads every image and mask of the splits; a bad file is reported, not raised.

    Args:
        folder: the data set.
        splits: split -> what gives its ids, or raises InputError.
        expected: split -> expected number of images; None, or a split without a number, is not compared.
    """
    found, wrong = _listed(splits)
    problems = [f"{' and '.join(names)}: {error}" for error, names in wrong.items()]
    for split, ids in found.items():
        wanted = (expected or {}).get(split)
        if wanted is not None and len(ids) != wanted:
            problems.append(f"{split}: {len(ids):,} images listed, {wanted:,} expected")
    for (first, ids), (second, others) in itertools.combinations(found.items(), 2):
        if shared := set(ids) & set(others):
            problems.append(f"{first} and {second}: {_some(sorted(shared), 'image')} in both")
    looks = {split: _read_all(folder, ids, split=split) for split, ids in found.items()}
    for split, look in looks.items():
        problems += [
            f"{split}: {_some(examples, 'file')} {fault}{look.advice.get(fault, '')}"
            for fault, examples in look.faults.items()
        ]
    for (first, one), (second, other) in itertools.combinations(looks.items(), 2):
        if twins := _twins(one, other):
            problems.append(f"{first} and {second}: {_some(twins, 'pair')} of images with the same pixels")
    pixels = {split: look.pixels for split, look in looks.items()}
    total = sum(pixels.values(), np.zeros(len(folder.classes) + 1, dtype=np.int64))
    never = [name for name, count in zip(folder.classes.names, total[:-1], strict=True) if count == 0]
    if never and total.any():
        hint = _two_values(folder, total)
        where = "" if all(len(look.faults) == 0 for look in looks.values()) else " in the masks that can be read"
        verb = f"never occur{'s' * (len(never) == 1)}"
        problems.append(f"{_some(never, 'class')} of data.classes {verb}{where}{hint}")
    counted = {split: look.counted for split, look in looks.items()}
    turned = {split: look.turned for split, look in looks.items()}
    return Report(folder.classes, problems, found, counted, turned, pixels)


def _listed(splits: Mapping[str, Callable[[], list[str]]]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Split to its ids, and error to the splits that have it."""
    found: dict[str, list[str]] = {}
    wrong: dict[str, list[str]] = {}
    for split, listed in splits.items():
        try:
            found[split] = listed()
        except InputError as error:
            wrong.setdefault(str(error), []).append(split)
            found[split] = []
    return found, wrong


def _two_values(folder: ImageFolder, total: NDArray[np.int64]) -> str:
    """A hint for masks of 0 and 255: the second class, taken for void."""
    both = len(folder.classes) == 2 and folder.labelling.void == 255 and total[0] and total[2] and not total[1]
    mapping = f"'data.label_mapping={{0: {folder.classes.names[0]}, 255: {folder.classes.names[1]}}}'" if both else ""
    return f"; if 255 is the second class: {mapping} and data.void=null" if both else ""


@dataclass
class _Look:
    """What was found in a split: pixels per class and void; per kind of fault the bad files and a way out; hashes."""

    pixels: NDArray[np.int64]
    counted: int = 0
    turned: int = 0
    faults: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    advice: dict[str, str] = field(default_factory=dict)
    hashes: dict[bytes, str] = field(default_factory=dict)


def _read_all(folder: ImageFolder, ids: list[str], *, split: str) -> _Look:
    look = _Look(np.zeros(len(folder.classes) + 1, dtype=np.int64))
    with ThreadPoolExecutor(usable_cores()) as pool:  # decoders release the interpreter lock
        results = pool.map(lambda image_id: _look(folder, image_id), ids)
        console = Console(stderr=True, markup=False, emoji=False)
        tracked = track(results, description=f"reading {split}", total=len(ids), console=console)
        for image_id, (found, wrong, digest, is_turned) in zip(ids, tracked, strict=True):
            look.pixels += found
            look.turned += is_turned
            look.counted += bool(found.any())
            if digest:
                look.hashes[digest] = image_id
            for fault, example, advice in wrong:
                look.faults[fault].append(example)
                look.advice.setdefault(fault, f"; {advice}" if advice else "")
    return look


def _twins(one: _Look, other: _Look) -> list[str]:
    """'a = b' for images of two splits with other ids but the same pixels."""
    both = ((one.hashes[digest], other.hashes[digest]) for digest in one.hashes if digest in other.hashes)
    return [f"{first} = {second}" for first, second in both if first != second]


def _look(folder: ImageFolder, image_id: str) -> tuple[NDArray[np.int64], list[tuple[str, str, str]], bytes, bool]:
    """For one image and its mask: pixels per class and void, faults as (fault, example, advice), and two facts.

    They are a hash of the image's pixels, and whether an EXIF flag turns it. A fault is what a training would raise:
    the same functions read the files.
    """
    faults: list[tuple[str, str, str]] = []

    def tried(read: Callable[[], T], path: Path) -> T | None:
        try:
            return read()
        except FileInputError as error:
            detail = f" ({error.detail})" if error.detail else ""
            inside = path.relative_to(folder.path) if path.is_relative_to(folder.path) else path
            faults.append((error.kind, f"{inside}{detail}", error.advice))
            return None

    size = len(folder.classes)
    mask_path = folder.mask_path(image_id)
    image = tried(lambda: folder.read_image(image_id), folder.image_path(image_id))
    mask = tried(lambda: folder.read_mask(image_id), mask_path)
    digest = b"" if image is None else hashlib.blake2b(image.tobytes(), digest_size=16).digest()
    is_turned = image is not None and orientation(folder.image_path(image_id)) != 1
    if mask is None:
        return np.zeros(size + 1, dtype=np.int64), faults, digest, is_turned
    if image is not None:
        tried(lambda: folder.check_sizes(image_id, image, mask), mask_path)
    return np.bincount(np.minimum(mask, size).ravel(), minlength=size + 1), faults, digest, is_turned


def _number(ids: list[str], noun: str) -> str:
    return f"{len(ids):,} {noun}{'s' * (len(ids) != 1)}"


def _some(examples: Iterable[str], noun: str) -> str:
    """'2 files (a, b)', with at most `SHOWN` of them spelled out."""
    names = list(examples)
    more = [f"{len(names) - SHOWN:,} more"] if len(names) > SHOWN else []
    plural = {"class": "classes"}.get(noun, f"{noun}s") if len(names) > 1 else noun
    return f"{len(names):,} {plural} ({', '.join(names[:SHOWN] + more)})"


def _percent(share: float) -> Text:
    """'12.34 %', or 'none' in grey: a class that never occurs should catch the eye."""
    return Text(f"{100 * share:.2f} %") if share else Text("none", style="dim")
