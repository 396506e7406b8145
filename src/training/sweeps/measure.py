"""A short training of a job: the real command with a few steps, a few val images and random weights. No torch."""

import subprocess
import time
from pathlib import Path

from src.core.errors import InputError, printable
from src.runs.folder import RunFolder
from src.runs.jobs import Job
from src.training.sweeps.pace import Pace, middle, read_pace
from src.training.sweeps.shapes import Images
from src.training.sweeps.sweep import started

VAL = 8  # images that are validated and scored
_EPOCHS = 2  # the first one is left out
_PICTURES = 2
_MISSING = {"height": 375, "width": 500}  # px of generated images in the place of data that is not there: as VOC's
_OWN = (  # keys of a job that a measurement sets itself
    *("backbone.weights", "recipe.epochs", "recipe.val_every", "recipe.early_stopping", "recipe.freeze_batchnorm"),
    *(
        "recipe.monitor",
        "data.train_limit",
        "data.val_limit",
        "runs",
        "name",
        "resume",
        "overwrite",
        "panels",
        "logger",
    ),
    *("trainer.max_time", "trainer.profile", "dry_run"),
)


def measured(job: Job, images: Images, *, steps: int, at_once: int, folder: Path) -> Pace:
    """The pace of a job, from so many equal short trainings side by side as will run at a time.

    Args:
        job: with a config that can be trained.
        images: of its data.
        steps: of each of two epochs.
        at_once: trainings at a time.
        folder: for their run folders, empty.

    Raises:
        InputError: the training fails.
    """
    runs = [RunFolder(folder / f"measured{slot}") for slot in range(at_once)]
    words = short(job, images, steps=steps, folder=folder)
    begun = time.monotonic()
    processes: list[subprocess.Popen[bytes]] = []
    took: dict[int, float] = {}
    try:
        for slot, run in enumerate(runs):
            processes.append(started([*words, f"name={run.path.name}"], _log(run), slot=slot, at_once=at_once))
        while len(took) < len(processes):
            time.sleep(0.05)
            for slot, process in enumerate(processes):
                if slot not in took and process.poll() is not None:
                    took[slot] = time.monotonic() - begun
                    if process.returncode != 0:
                        raise InputError(f"{job.label}: a short training of it failed: {_reason(runs[slot])}")
    finally:
        for process in processes:
            assert process.stdin is not None
            process.stdin.close()  # this ends it
            process.wait()
    paces = [pace for slot, run in enumerate(runs) if (pace := read_pace(run, seconds=took[slot])) is not None]
    if not paces:
        raise InputError(f"{job.label}: a short training of it left no times; steps=0 plans without them.")
    return middle(paces)


def short(job: Job, images: Images, *, steps: int, folder: Path) -> list[str]:
    """The words of a short training of a job."""
    assert job.config is not None
    config = job.config
    train, val = min(images.train, steps * config.recipe.batch_size), min(images.val, VAL)
    dropped = (*_OWN, *(() if images.there else ("data",)))
    kept = [word for word in job.options if not _is_of(word.lstrip("+~").partition("=")[0], dropped)]
    if images.there:
        data = [f"data.train_limit={train}", f"data.val_limit={val}"]
    else:
        size = {key: config.data.prepare.get(key, pixels) for key, pixels in _MISSING.items()}
        made = {"train": train, "val": val, **size}
        data = ["data=shapes", f"data.root={folder / 'data'}", *(f"data.prepare.{k}={v}" for k, v in made.items())]
    pictures = 0 if config.panels == 0 else _PICTURES
    return [
        *kept,
        *data,
        *("backbone.weights=none", "recipe.freeze_batchnorm=false", "recipe.early_stopping=null"),
        *(f"recipe.epochs={_EPOCHS}", "recipe.val_every=1", "recipe.monitor=val/loss", "trainer.max_time=null"),
        *(f"runs={folder}", f"panels={pictures}", "logger=csv", "resume=null", "trainer.profile=false"),
    ]


def _is_of(key: str, dropped: tuple[str, ...]) -> bool:
    return any(key == one or key.startswith(f"{one}.") for one in dropped)


def _log(run: RunFolder) -> Path:
    return run.path.with_suffix(".txt")


def _reason(run: RunFolder) -> str:
    """The last line that a failed training has printed."""
    lines = _log(run).read_text(encoding="utf-8", errors="backslashreplace").strip().splitlines() or ["it said nothing"]
    return printable(lines[-1].removeprefix("error: "))[-2000:]
