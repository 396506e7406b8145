"""What the jobs of a sweep will cost on this machine: time, disk, memory; from done runs, or from short trainings."""

import heapq
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from omegaconf import DictConfig
from rich.console import Console

from src.core.errors import printable
from src.core.files.whole import in_bytes
from src.core.machine import free_memory, usable_cores
from src.evaluation import build
from src.reporting.collect import Cell
from src.runs.checks.records import read_config
from src.runs.folder import RunFolder
from src.runs.jobs import Job
from src.runs.listing import tell
from src.training.sweeps.measure import VAL, measured
from src.training.sweeps.pace import Pace, middle, read_pace, validations
from src.training.sweeps.shapes import Images, disk_of, disk_of_new, images_of, label_of, seconds_of, shape_of


@dataclass(frozen=True)
class Kind:
    """The jobs of one shape.

    Attributes:
        label: the shape for a reader.
        jobs: those that can be trained, done or not.
        images: of their data.
        pace: of one of them.
        source: where the pace comes from.
    """

    label: str
    jobs: list[Job]
    images: Images
    pace: Pace
    source: str


def estimate(
    jobs: Sequence[Job], done: Sequence[Cell], *, at_once: int, steps: int | None, console: Console
) -> list[Kind]:
    """The kinds of jobs that are left to do, each with its pace.

    Args:
        jobs: of the sweep.
        done: runs whose pace is taken if they have the same shape and ran on such a machine.
        at_once: trainings that run at a time.
        steps: of an epoch of a measurement; None: by the device; 0: nothing is measured.
        console: says what is measured.
    """
    shapes: dict[str, list[Job]] = {}
    for job in jobs:
        if job.config is not None and job.standing()[0] != "invalid":
            shapes.setdefault(shape_of(job.config), []).append(job)
    open_shapes = {shape: some for shape, some in shapes.items() if any(job.standing()[0] != "done" for job in some)}
    found = []
    for number, (shape, some) in enumerate(open_shapes.items(), start=1):
        config = some[0].config
        assert config is not None
        label, images = label_of(config), images_of(config)
        facts = _facts(config, at_once)
        paces = _of_done(shape, facts, done)
        if paces:
            found.append(
                Kind(
                    label, some, images, middle(paces), f"{len(paces)} done run{'s' * (len(paces) > 1)} of this machine"
                )
            )
        elif steps != 0:
            count = steps or (32 if build.hardware(config).device == "cuda" else 8)
            with (
                console.status(printable(f"measuring {number} of {len(open_shapes)}: {label}")),
                tempfile.TemporaryDirectory(prefix="seglab-plan-") as folder,
            ):
                pace = measured(some[0], images, steps=count, at_once=at_once, folder=Path(folder))
            pictures = f"{min(VAL, images.val)} {'' if images.there else 'generated '}val images"
            beside = f", {at_once} trainings side by side" if at_once > 1 else ""
            found.append(Kind(label, some, images, pace, f"measured now: {count} steps, {pictures}{beside}"))
    return found


def _facts(config: DictConfig, at_once: int) -> dict[str, object]:
    """What the jobs will run on, as `results.json` names it."""
    machine = build.hardware(config)
    facts = build.machine_facts(machine)
    if machine.device == "cpu" and at_once > 1:
        facts["threads"] = max(1, usable_cores() // at_once)
    return {**facts, "jobs": at_once}


def _of_done(shape: str, facts: dict[str, object], done: Sequence[Cell]) -> list[Pace]:
    """The paces of done runs of a shape on a machine."""
    found = []
    for folder in {cell.run.path.resolve(): cell.run for cell in done if cell.run is not None}.values():
        results = folder.read_results()
        ran_on = {**results.get("machine", {}), "jobs": results.get("costs", {}).get("jobs")}
        if all(ran_on.get(key) == value for key, value in facts.items()) and _shape(folder) == shape:
            pace = read_pace(folder)
            found += [] if pace is None else [pace]
    return found


def _shape(folder: RunFolder) -> str | None:
    """The shape of a run; None if its config is of a version that had other keys."""
    try:
        return shape_of(read_config(folder.config))
    except (AttributeError, KeyError, TypeError):
        return None


def makespan(seconds: Sequence[float], at_once: int) -> float:
    """When the last job ends, if each starts in its order as soon as one of `at_once` places is free."""
    free = [0.0] * at_once
    for one in seconds:
        heapq.heapreplace(free, free[0] + one)
    return max(free)


def duration(seconds: float) -> str:
    """Seconds as text, such as "9.5 s", "12 min" or "3 d 4 h"."""
    for large, small, size, part in (("d", "h", 86_400, 3600), ("h", "min", 3600, 60), ("min", "s", 60, 1)):
        if seconds >= size:
            whole, rest = divmod(round(seconds / part), size // part)
            return f"{whole} {large} {rest} {small}" if rest else f"{whole} {large}"
    return f"{seconds:.1f} s"


def show(kinds: Sequence[Kind], jobs: Sequence[Job], *, at_once: int, into: Path, console: Console) -> None:
    """Print the cost of a job of each kind, and of all that is left to do."""
    say = partial(tell, console)
    console.print("\nWhat it will cost", style="bold")
    for kind in kinds:
        if len(kinds) > 1:
            say("network", kind.label)
        for heading, text in _of_kind(kind):
            say(heading, text)
    of_job = {id(job): kind for kind in kinds for job in kind.jobs}
    left = [job for job in jobs if id(job) in of_job and job.standing()[0] != "done"]
    seconds = [seconds_of(job, of_job[id(job)].images, of_job[id(job)].pace) for job in left]
    if not left:
        say(
            "in all",
            "unknown: nothing was measured (steps=0), and no done run tells a time"
            if _unmeasured(jobs)
            else "nothing is left to do",
        )
        return
    by = f", {duration(makespan(seconds, at_once))} with jobs={at_once}" if at_once > 1 else ""
    say("in all", f"{len(left)} job{'s' * (len(left) > 1)} to do: {duration(sum(seconds))} of training and scoring{by}")
    disk = sum(disk_of(job, of_job[id(job)].images, of_job[id(job)].pace) for job in left)
    disk += max(kind.pace.kept for kind in kinds) / 2 * at_once  # each new checkpoint, before it replaces the old one
    room = shutil.disk_usage(next(path for path in (into.resolve(), *into.resolve().parents) if path.exists())).free
    say("", f"{in_bytes(disk)} of disk, {in_bytes(room)} are free", "red" if disk > room else None)
    memory, there, where = _memory(kinds, at_once)
    say("", f"{in_bytes(memory)} of {where} at a time, {in_bytes(there)} are there", "red" if memory > there else None)


def _unmeasured(jobs: Sequence[Job]) -> bool:
    return any(job.standing()[0] not in ("done", "invalid") for job in jobs)


def _of_kind(kind: Kind) -> list[tuple[str, str]]:
    """Headings and texts on one job of a kind."""
    config, pace, images = kind.jobs[0].config, kind.pace, kind.images
    assert config is not None
    recipe = config.recipe
    steps, validated = images.train // recipe.batch_size, validations(recipe.epochs, recipe.val_every)
    whole = pace.seconds(epochs=recipe.epochs, steps=steps, validations=validated, images=images.val)
    times = [
        f"{recipe.epochs} epochs of {duration(steps * pace.step)}",
        f"{validated} validation{'s' * (validated > 1)} of {duration(images.val * pace.validation)}",
        f"checkpoints {duration((recipe.epochs + validated) * pace.saving)}",
        f"scoring {duration(images.val * pace.scoring)}",
        f"the rest {duration(pace.start)}",
    ]
    early = "at most: " if recipe.early_stopping is not None or config.trainer.max_time is not None else ""
    counted = "" if images.there else " by the config: the data is not there yet"
    return [
        ("images", f"{images.train} train, {images.val} val{counted}"),
        ("a job", f"{early}{duration(whole)}: {', '.join(times)}"),
        ("", f"{in_bytes(disk_of_new(config, images, pace))} of disk, {in_bytes(pace.memory)} of memory"),
        ("from", kind.source),
    ]


def _memory(kinds: Sequence[Kind], at_once: int) -> tuple[float, float, str]:
    """Bytes that trainings take at a time, those that are there, and where."""
    largest = max(kind.pace.memory for kind in kinds)
    config = kinds[0].jobs[0].config
    assert config is not None
    if build.hardware(config).device == "cuda":
        sharing = -(-at_once // torch.cuda.device_count())
        return largest * sharing, torch.cuda.get_device_properties(0).total_memory, "memory on a GPU"
    return largest * at_once, free_memory(), "memory"
