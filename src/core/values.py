"""Checks of config values; each message says what would be right. No torch.

A `Check` takes a key and a value, and raises `InputError`. Small ones are put together to the schema of a whole config:
`parts({"epochs": whole(0, 100), "ema": either((None,), number(0, 1))})`.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from omegaconf import DictConfig, OmegaConf

from src.core.errors import InputError, printable

Check = Callable[[str, Any], None]
LONGEST = 200  # characters of a value in a message
LETTERS, DEPTH, NODES = 10_000, 30, 200_000  # the most of a text, of mappings in mappings, of all values of a config


def shown(value: Any) -> str:
    """A value for a message: as YAML would write it, on one line, cut in the middle if it is long."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    try:
        text = str(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits; lists in lists
        return "(a value that is too long to be shown)"
    text = printable(text[: 10 * LONGEST])
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]}...{text[-LONGEST // 2 :]}"


def check_choice(key: str, value: Any, valid: Iterable[Any]) -> None:
    """Raise InputError unless the value is one of the valid ones."""
    valid = tuple(valid)
    if not any(type(value) is type(one) and value == one for one in valid):
        raise InputError(f"{key}={shown(value)}: not one of {', '.join(map(shown, valid))}.")


def check_whole(key: str, value: Any, *, least: int, most: int | None = None, why: str = "") -> None:
    """Raise InputError unless the value is a whole number from `least` to `most`."""
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if not is_whole or value < least or (most is not None and value > most):
        wanted = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise InputError(f"{key}={shown(value)}: must be a whole number {wanted}{f' ({why})' if why else ''}.")


def check_keys(where: str, node: Mapping[Any, Any] | DictConfig, valid: Iterable[str]) -> None:
    """Raise InputError for an unknown key."""
    valid = tuple(valid)
    for key in node:
        if key not in valid:
            place = f"{where}.{shown(key)}" if where else shown(key)
            raise InputError(f"{place}: there is no such key; valid: {', '.join(valid)}.")


def check_number(key: str, value: Any, low: float, high: float = math.inf, *, within: bool = False) -> None:
    """Raise InputError unless the value is a number from low to high; with `within`, neither low nor high itself."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and -math.inf < value < math.inf
    if is_number and (low < value < high if within else low <= value <= high):
        return
    if math.isinf(high):
        wanted = f"above {low:g}" if within else f"of at least {low:g}"
    else:
        wanted = f"between {low:g} and {high:g}" if within else f"from {low:g} to {high:g}"
    raise InputError(f"{key}={shown(value)}: must be a number {wanted}.")


def check_flag(key: str, value: Any) -> None:
    """Raise InputError unless the value is true or false."""
    if not isinstance(value, bool):
        raise InputError(f"{key}={shown(value)}: must be true or false.")


def check_text(key: str, value: Any) -> None:
    """Raise InputError unless the value is a text that is not empty."""
    if not isinstance(value, str) or not value.strip():
        hint = (
            f"; a number as a text needs quotes, {key}=\"'{shown(value)}'\"" if isinstance(value, int | float) else ""
        )
        raise InputError(f"{key}={shown(value)}: must be a text that is not empty{hint}.")


def check_path(key: str, value: Any) -> None:
    """Raise InputError unless the value can be a path: a text, each name in it at most 255 bytes long."""
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise InputError(f"{key}={shown(value)}: must be a path (one that is a number begins with ./).")
    if len(encoded := value.encode(errors="surrogatepass")) > 4000 or any(
        len(name) > 255 for name in encoded.split(b"/")
    ):
        raise InputError(f"{key}={shown(value)}: is too long for a path; a name in it has at most 255 bytes.")


def check_folder_name(key: str, value: Any) -> None:
    """Raise InputError for a name that cannot be part of a folder name."""
    if not isinstance(value, str) or not re.fullmatch(r"\w[\w.+-]{0,99}", value) or len(value.encode()) > 100:
        raise InputError(f"{key}={shown(value)}: must be at most 100 letters, digits and . + - _, no space, no slash.")


def check_mapping(key: str, value: Any) -> None:
    """Raise InputError unless the value has keys."""
    if not isinstance(value, Mapping | DictConfig):
        raise InputError(f"{key}={shown(value)}: must have keys, such as {key}.name=VALUE.")


def whole(least: int, most: int, why: str = "") -> Check:
    """A whole number."""
    return partial(check_whole, least=least, most=most, why=why)


def number(low: float, high: float, *, within: bool = False) -> Check:
    """A number; with `within`, neither `low` nor `high` itself."""
    return partial(check_number, low=low, high=high, within=within)


def choice(*valid: Any) -> Check:
    """One of some values."""
    return partial(check_choice, valid=valid)


def either(words: Sequence[Any], check: Check) -> Check:
    """One of some words, such as None or "auto", or what `check` accepts."""

    def checked(key: str, value: Any) -> None:
        if any(type(value) is type(word) and value == word for word in words):
            return
        try:
            check(key, value)
        except InputError as error:
            if not str(error).startswith(f"{key}="):
                raise  # about a part of the value
            raise InputError(f"{str(error).rstrip('.')}, or {' or '.join(map(shown, words))}.") from error

    return checked


def many(check: Check, least: int = 0, most: int = 100_000) -> Check:
    """A list."""

    def checked(key: str, value: Any) -> None:
        if isinstance(value, str) or not isinstance(value, Sequence) or not least <= len(value) <= most:
            size = f"{least}" if least == most else f"{least} to {most}"
            raise InputError(f"{key}={shown(value)}: must be a list of {size} values, such as {key}=[A,B].")
        for place, one in enumerate(value):
            check(f"{key}[{place}]", one)

    return checked


def each(check: Check) -> Check:
    """A mapping with any keys."""

    def checked(key: str, value: Any) -> None:
        check_mapping(key, value)
        for name, one in value.items():
            check(f"{key}.{name}", one)

    return checked


def parts(needed: Mapping[str, Check], optional: Mapping[str, Check] | None = None, *, more: bool = False) -> Check:
    """A mapping with the keys `needed`, perhaps some of `optional`, and with `more` any others."""
    known = {**needed, **(optional or {})}

    def checked(key: str, value: Any) -> None:
        inside = f"{key}." if key else ""
        if not isinstance(value, Mapping | DictConfig):
            example = ([*needed] or [*known] or ["NAME"])[-1]
            raise InputError(f"{key}={shown(value)}: must have parts, such as {inside}{example}=VALUE.")
        if not more:
            check_keys(key, value, known)
        for name in needed:
            if name not in value:
                raise InputError(f"{inside}{name}: is missing; see docs/reference.md.")
        for name, part in known.items():
            if name in value:
                part(f"{inside}{name}", value[name])

    return checked


def as_dict(config: DictConfig) -> dict[str, Any]:
    """A part of a config as dicts, lists and values; references are followed."""
    content = OmegaConf.to_container(config, resolve=True)
    assert isinstance(content, dict)
    return {str(key): value for key, value in content.items()}


def check_config(config: Any, check: Check, key: str = "") -> None:
    """Raise InputError unless a config, or a part of one, is what `check` accepts; references are followed."""
    content = OmegaConf.to_container(config, resolve=True) if OmegaConf.is_config(config) else config
    check(key, content)
    check_plain(key, content)


def check_plain(key: str, content: Any) -> None:
    """Raise InputError for anything that a config cannot hold, wherever it is in `content`.

    These are: other types than mappings, lists, texts, numbers, flags and null; infinite and huge numbers; texts that
    cannot be written to a file; values that were left open; more, and deeper, than any of our configs.
    """
    budget = NODES

    def walk(where: str, node: Any, depth: int) -> None:
        nonlocal budget
        budget -= 1
        if depth > DEPTH or budget < 0:
            raise InputError(f"{where[:LONGEST]}: the config is nested too deeply or is too large.")
        if isinstance(node, Mapping):
            names = [str(name) if isinstance(name, int) else name for name in node]
            if wrong := [name for name in names if not isinstance(name, str) or _flaw(name)]:
                raise InputError(f"{where or 'config'}: has the key {shown(wrong[0])}, which is not a name.")
            if len(set(names)) < len(names):
                raise InputError(f"{where or 'config'}: has a key twice, as a number and as a text.")
            for name, value in zip(names, node.values(), strict=True):
                walk(f"{where}.{name}" if where else name, value, depth + 1)
        elif isinstance(node, list | tuple):
            for place, value in enumerate(node):
                walk(f"{where}[{place}]", value, depth + 1)
        elif flaw := _flaw(node):
            raise InputError(f"{where}={shown(node)}: {flaw}.")

    walk(key, content, 0)


def _flaw(value: Any) -> str:
    """Why a single value cannot be part of a config; empty if it can."""
    if isinstance(value, str):
        if value == "???":
            return "is left open; give it a value"
        is_written = "\0" not in value and not any("\ud800" <= c <= "\udfff" for c in value)
        if len(value) > LETTERS or not is_written:
            return f"must be text in UTF-8, at most {LETTERS} characters, none of them NUL"
    elif isinstance(value, int | float) and not isinstance(value, bool):
        if not abs(value) <= (2**63 - 1 if isinstance(value, int) else 1e38):  # float32 ends there; false for NaN
            return "must be a finite number, at most 1e38, or 2^63 - 1 if it is whole"
    elif value is not None and not isinstance(value, bool):
        return f"is a {type(value).__name__}, which is not a plain value"
    return ""
