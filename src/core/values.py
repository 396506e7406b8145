"""Checks of single config values; each message says what would be right. No torch."""

import math
from collections.abc import Iterable
from typing import Any

from omegaconf import DictConfig

from src.core.errors import InputError


def check_choice(key: str, value: Any, valid: Iterable[Any]) -> None:
    """Raise InputError unless the value is one of the valid ones."""
    if value not in valid:
        raise InputError(f"{key}={value}: not one of {', '.join(map(str, valid))}.")


def check_whole(key: str, value: Any, *, least: int, why: str = "") -> None:
    """Raise InputError unless the value is a whole number of at least `least`."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InputError(f"{key}={value}: must be a whole number of at least {least}{f' ({why})' if why else ''}.")


def check_keys(where: str, node: DictConfig, valid: tuple[str, ...]) -> None:
    """Raise InputError for an unknown key."""
    for key in map(str, node):
        if key not in valid:
            raise InputError(f"{where}.{key}: there is no such key; valid: {', '.join(valid)}.")


def check_number(key: str, value: Any, low: float, high: float = math.inf, *, within: bool = False) -> None:
    """Raise InputError unless the value is a number from low to high; with `within`, neither low nor high itself."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if is_number and (low < value < high if within else low <= value <= high):
        return
    if math.isinf(high):
        wanted = f"above {low:g}" if within else f"of at least {low:g}"
    else:
        wanted = f"between {low:g} and {high:g}" if within else f"from {low:g} to {high:g}"
    raise InputError(f"{key}={value}: must be a number {wanted}.")


def check_flag(key: str, value: Any) -> None:
    """Raise InputError unless the value is true or false."""
    if not isinstance(value, bool):
        raise InputError(f"{key}={value}: must be true or false.")


def check_text(key: str, value: Any) -> None:
    """Raise InputError unless the value is text that can name a file."""
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise InputError(f"{key}={value!r}: must be text that can name a file; quote a number: {key}=\"'2012'\".")
