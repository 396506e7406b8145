"""Checks of a stored config, from a checkpoint or run folder that anybody may have written. No torch."""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from src.core.compose import plain
from src.core.errors import InputError
from src.core.values import check_choice
from src.runs.checks.commands import check_crf, check_data_set, check_network, check_training
from src.runs.checks.recipe import PROTOCOLS
from src.runs.checks.variants import check_variants


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
    try:
        if not isinstance(config.get("plugins", {}), DictConfig):
            raise InputError("plugins: must be file names with their hashes.")
        check_network(config)
        if training:
            check_training(config)
        check_choice("recipe.protocol", config.recipe.protocol, PROTOCOLS)
        check_data_set(config)
        check_crf(config.crf)
        check_variants(config.variants)
    except InputError as error:
        raise InputError(f"{source}: its config cannot be used: {error}") from error
    except (OmegaConfBaseException, AttributeError, KeyError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{source}: its config is of another project or another version ({reason}).") from error
    return config
