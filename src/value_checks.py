"""Checks of single values of a config, each with a sentence on what would be right. No torch."""

from collections.abc import Iterable
from typing import Any

from omegaconf import DictConfig

from src.errors import InputError


def check_choice(key: str, value: Any, valid: Iterable[Any]) -> None:
    """Raise InputError unless the value is one of those."""
    if value not in valid:
        raise InputError(f"{key}={value}: not one of {', '.join(map(str, valid))}.")


def check_whole(key: str, value: Any, *, least: int, why: str = "") -> None:
    """Raise InputError unless the value is a whole number of at least `least`."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InputError(f"{key}={value}: must be a whole number of at least {least}{f' ({why})' if why else ''}.")


def check_keys(where: str, node: DictConfig, valid: tuple[str, ...]) -> None:
    """Raise InputError for a key that there is not."""
    for key in map(str, node):
        if key not in valid:
            raise InputError(f"{where}.{key}: there is no such key; valid: {', '.join(valid)}.")


def is_number(value: Any) -> bool:
    """Whether it is one; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)
