"""Checks of a stored config, from a checkpoint or run folder that anybody may have written. No torch."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from src.core.compose import plain
from src.core.errors import InputError
from src.core.values import check_config, check_mapping, check_path, check_text, each, parts
from src.data.config import classes_of
from src.runs.checks.commands import check_crf, check_data_set, check_network, check_training
from src.runs.checks.recipe import SCORING
from src.runs.checks.schema import SEED
from src.runs.checks.variants import check_variants

_GROUPS = ("backbone", "head", "loss", "crf", "variants")


def _data(key: str, value: Any) -> None:
    parts({"root": check_path}, more=True)(key, value)
    if "classes" not in value:
        raise InputError(f"{key}.classes: is missing, so it is of a version before 0.3.0; train the network again.")


STORED = parts(  # what every use of a stored config reads; logger, trainer and places are those of the command
    {
        **dict.fromkeys(_GROUPS, check_mapping),
        "plugins": each(check_text),
        "data": _data,
        "recipe": parts(SCORING, more=True),
        "seed": SEED,
    },
    more=True,
)


def checked_config(content: Any, source: Path, *, training: bool) -> DictConfig:
    """A stored config as plain values, checked in the same way as a typed one.

    Args:
        content: what the file holds; `${...}` in it is text.
        source: the file, for messages.
        training: whether to check loss and recipe, too; scoring needs neither.

    Raises:
        InputError: it is not a config of this project, or it cannot be used.
    """
    config = plain(content, source)
    with naming(source):
        try:
            check_config(config, STORED)
            check_network(config)
            check_data_set(config)
            if training:
                check_training(config)
            check_crf(config.crf)
            check_variants(config.variants, classes_of(config.data).background)
        except (OmegaConfBaseException, AttributeError, KeyError, TypeError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise InputError(f"it is of another project or another version ({reason}).") from error
    return config


@contextmanager
def naming(source: Path) -> Iterator[None]:
    """A block in which a stored config is used: what is wrong with it is said of the file that holds it."""
    try:
        yield
    except InputError as error:
        if str(source) in str(error):
            raise
        raise InputError(f"{source}: its config cannot be used: {error}") from error
