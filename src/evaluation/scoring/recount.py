"""Counts that only kept logits can give: the centre crop of other protocols, and the mean of several seeds."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms

from src.core.errors import InputError
from src.evaluation.scoring.kept import Check, Kept, opened
from src.models.deeplab import resize_logits
from src.models.inference import PLAIN
from src.reporting.collect import Cell
from src.reporting.comparison import Added, Comparison
from src.reporting.counts import Counts
from src.reporting.rows import Row
from src.reporting.statistics.remarks import listed
from src.scoring.confusion import confusion_matrix
from src.scoring.definitions import SIDE
from src.scoring.metrics import margins
from src.scoring.scorer import VariantScorer
from src.scoring.variants import Variant


def crops_of(table: Comparison) -> tuple[dict[int, npt.NDArray[np.int64]], list[str]]:
    """The counts of the centre crops of all runs of a table that have a row `none`, by the `id` of the cell.

    Returns:
        Margins (N, 3, C), and sentences on the runs that have none.
    """
    found: dict[int, npt.NDArray[np.int64]] = {}
    lacking: dict[str, None] = {}
    for cell in {id(cell): cell for row in table.rows if row.variant == "none" for cell in row.done}.values():
        try:
            found[id(cell)] = centre_crops(opened(cell, table.counts[id(cell)]))
        except InputError as error:
            lacking[f"No {SIDE} px crop: {error}"] = None
    return found, [*lacking]


def centre_crops(kept: Kept) -> npt.NDArray[np.int64]:
    """(N, 3, C) margins of the centre crops of a run's images.

    Raises:
        InputError: the logits or the masks are not those of the run.
    """
    check, found = Check(kept), []
    for image in kept.counts.ids:
        target = kept.pair(image)[1]
        logits = kept.logits(image)
        check.add(image, resize_logits(logits[None], (target.shape[0], target.shape[1]))[0], target)
        height, width = _scaled(target.shape[0], target.shape[1])
        labels = _centre(resize_logits(logits[None], (height, width))[0].argmax(0))
        truth = transforms.resize(
            target[None], [height, width], transforms.InterpolationMode.NEAREST_EXACT
        )  # as Pillow
        found.append(margins(confusion_matrix(labels, _centre(truth[0]), len(logits)).numpy()))
    check.finish()
    return np.stack(found)


def _scaled(height: int, width: int) -> tuple[int, int]:
    """The size with a short side of `SIDE`."""
    short = min(height, width)
    return int(SIDE * height / short), int(SIDE * width / short)


def _centre(labels: Tensor) -> Tensor:
    """The `SIDE` x `SIDE` px in the middle of (H, W)."""
    found: Tensor = transforms.center_crop(labels[None], [SIDE, SIDE])[0]
    return found


def ensembles(rows: Sequence[Row], counts: Mapping[int, Counts]) -> Added:
    """A further row after each row `none` of several seeds: the mean of their probabilities, from kept logits."""
    every: list[Row] = []
    found: dict[int, Counts] = {}
    alone: list[str] = []
    said: dict[str, None] = {}
    for row in rows:
        every.append(row)
        if row.variant != "none" or not row.done:
            continue
        whose = row.network or "the network"
        if len(row.done) == 1:
            alone.append(whose)
            continue
        name = f"ensemble of {len(row.done)}"
        try:
            counted = mean_of([opened(cell, counts[id(cell)]) for cell in row.done], name)
        except InputError as error:
            said[f"No ensemble of {whose}: {error}"] = None
            continue
        cell = Cell((), f"{row.network} {name}".strip(), {}, None, None, "done", "", counted)
        found[id(cell)] = counted
        every.append(Row(row.network, name, [cell]))
    if alone:
        said[f"No ensemble of {listed(alone)}: one seed."] = None
    if found:
        said[
            "An ensemble has the labels of the mean of its seeds' probabilities, without a CRF. It counts as one "
            "training with the spread of a single one: rather too wide than too narrow."
        ] = None
    return every, found, [*said]


def mean_of(members: Sequence[Kept], name: str) -> Counts:
    """The counts of the mean of several runs' probabilities, as variant `name`; one image is in memory at a time.

    Raises:
        InputError: logits or masks are not those of the runs.
    """
    first = members[0]
    checks = [Check(kept) for kept in members]
    with VariantScorer({name: Variant()}, len(first.counts.classes), None) as scorer:
        for image in first.counts.ids:
            rgb, target = first.pair(image)
            total = torch.zeros(())
            for kept, check in zip(members, checks, strict=True):
                probs = resize_logits(kept.logits(image)[None], (target.shape[0], target.shape[1]))[0].softmax(0)
                check.add(image, probs, target)
                total = total + probs
            scorer.add(image, {PLAIN: total / len(members)}, rgb, target)
        scorer.finish()
    for check in checks:
        check.finish()
    counted = [np.concatenate([margins(block) for block in rows]) for _, rows in scorer.matrices.rows()]
    near = (stack[name] for stack in (scorer.trimaps, scorer.boundaries))
    trimaps, boundaries = ({name: found} for found in near)
    results = _together([kept.counts.results for kept in members], name)
    return Counts(scorer.ids, {name: counted[0]}, trimaps, results, first.counts.classes, boundaries)


def _together(results: Sequence[Mapping[str, Any]], name: str) -> dict[str, Any]:
    """What the report shows of an ensemble: facts of the first member, and the costs of all."""
    first = results[0]
    found = {key: first[key] for key in ("data", "protocol", "images", "fingerprint", "machine") if key in first}
    costs = [one.get("costs", {}) for one in results]
    if all("none" in one.get("seconds", {}) for one in costs):
        added = {key: sum(one[key] for one in costs) for key in ("parameters", "multiply_adds") if key in costs[0]}
        seconds = sum(one["seconds"]["none"] for one in costs)
        found["costs"] = {**added, "seconds": {name: seconds}, "jobs": costs[0].get("jobs", 1)}
    return found
