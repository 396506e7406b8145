"""Which jobs take the same time, because their trainings have one shape, and how much each has to do. No torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from src.core.errors import InputError
from src.core.files.alone import only_reading
from src.core.values import as_dict
from src.data.config import splits_of
from src.data.sources.table import source_of
from src.runs.checks.schema import worst_count
from src.runs.config_hash import circumstances_left_out
from src.runs.jobs import Job
from src.runs.listing import epochs_done
from src.scoring.presets import tuned_on
from src.training.sweeps.pace import Pace, validations

_OF_STEP = ("batch_size", "accumulate", "ema", "freeze_batchnorm", "protocol")


@dataclass(frozen=True)
class Images:
    """How many images a training has.

    Attributes:
        train: in an epoch.
        val: that are validated and scored.
        there: whether the data is on the disk.
    """

    train: int
    val: int
    there: bool


def images_of(config: DictConfig) -> Images:
    """The images of a config: counted where the data is there, else those that its config expects.

    Raises:
        InputError: the data is not there, and its config expects no number of images; or lists are wrong.
    """
    data = as_dict(config.data)
    try:
        path = only_reading(source_of(config.data))(root=Path(data["root"]))
    except InputError:
        promised: Mapping[str, Any] = data["expected"] or data["prepare"]
        counts = [promised.get(split) for split in ("train", "val")]
        found = [count for count in counts if isinstance(count, int) and count > 0]
        if data["train_list"] is None or data["val_list"] is None or len(found) < 2:
            raise InputError(
                f"data.root={data['root']}: the data of {data['name']} is not there, so its images cannot be counted; "
                f"python -m src.check data={data['name']} data.root=FOLDER finds or fetches it."
            ) from None
        limits = [data["train_limit"], data["val_limit"]]
        train, val = (min(one, most) if most else one for one, most in zip(found, limits, strict=True))
        return Images(train, val, there=False)
    splits = splits_of(config.data, path, tuned_on(config))
    return Images(len(splits.ids("train")), len(splits.ids("val")), there=True)


def shape_of(config: DictConfig) -> str:
    """A text that is equal for trainings of equal pace: same network, crops, batches, data, variants and trainer.

    Losses, seeds and rates do not count.
    """
    asked = circumstances_left_out(config)
    network = {key: value for key, value in asked["backbone"].items() if key not in ("name", "weights")}
    recipe = asked["recipe"]
    step = {key: recipe.get(key) for key in _OF_STEP}
    data = {key: asked["data"].get(key) for key in ("name", "source", "classes")}
    scored = [asked["crf"], asked["variants"], bool(config.get("keep_logits"))]
    optimizer, augment = recipe["optimizer"]["name"], [recipe["augment"][key] for key in ("crop", "squash")]
    return repr([network, asked["head"], step, optimizer, augment, data, scored, asked["trainer"]])


def label_of(config: DictConfig) -> str:
    """The shape for a reader."""
    backbone, head, recipe = config.backbone.name, config.head.name, config.recipe
    return f"{backbone}, {head}, {recipe.batch_size} x {recipe.augment.crop} px"


def seconds_of(job: Job, images: Images, pace: Pace) -> float:
    """What is left to do for a job."""
    state = job.standing()[0]
    assert job.config is not None and job.folder is not None
    recipe = job.config.recipe
    if state == "done":
        return 0.0
    before = 0 if state == "new" else recipe.epochs if state == "trained" else epochs_done(job.folder)
    left = validations(recipe.epochs, recipe.val_every) - before // recipe.val_every
    if state == "trained":
        left = 0
    steps = images.train // recipe.batch_size
    return pace.seconds(epochs=max(0, recipe.epochs - before), steps=steps, validations=left, images=images.val)


def disk_of(job: Job, images: Images, pace: Pace) -> float:
    """Bytes that the folder of a job will grow by."""
    assert job.config is not None and job.folder is not None
    there = sum(path.stat().st_size for path in (job.folder.best, job.folder.last) if path.is_file())
    return max(0.0, disk_of_new(job.config, images, pace) - there)


def disk_of_new(config: DictConfig, images: Images, pace: Pace) -> float:
    """Bytes of a run folder that holds nothing yet."""
    pictures = config.panels if isinstance(config.panels, int) else worst_count(config.panels) or 0
    return pace.disk(images=images.val, pictures=min(pictures, images.val))
