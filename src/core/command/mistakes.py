"""Mistakes on a command line, told in a sentence: words that are no words, unknown choices, misspelt keys."""

import difflib
import re
from collections.abc import Collection, Sequence
from typing import Any

import hydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, QuotedString
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from src.core.compose import GROUPS, TABLES, composing, is_registered
from src.core.errors import InputError, printable
from src.core.names import CONF
from src.core.values import shown


def choices(group: str) -> list[str]:
    """The words that `GROUP=` takes, without files of one's own."""
    return sorted(file.stem for file in (TABLES if group == "table" else CONF / group).glob("*.yaml"))


def check_words(words: Sequence[str], name: str) -> None:
    """Raise InputError for words on which Hydra would fail in ways of its own, such as an unknown choice of a group."""
    for word in (word for word in words if not word.startswith("-")):
        key = re.split(r"[=@]", word)[0].lstrip("+~")
        if not key or len(key) > 200:
            raise InputError(f"'{shown(word)}': must be KEY=VALUE; python -m src.{name} --help lists the keys.")
        if re.search(r"\d{400,}", word):
            raise InputError(f"{shown(word)}: has more digits than any number that is wanted here.")
        if re.fullmatch(r"~\w*=.*", word) and key in GROUPS:
            raise InputError(f"{shown(word)}: a group is left out as a whole, by ~{key}.")
        found = re.fullmatch(r"\+{0,2}(\w+)(@[^=]*)?=.*", word, re.DOTALL)
        if found is None or found[1] not in GROUPS:
            continue
        group, valid = found[1], choices(found[1])
        if group == "table" and len(_values(word)) > 1:
            raise InputError(f"{shown(word)}: one table at a time; a call for each makes several.")
        for value in _values(word):
            if (isinstance(value, str) and (value in valid or is_registered(value))) or (
                value is None and group == "table"
            ):
                continue
            close = difflib.get_close_matches(str(value), valid, n=1)
            hint = f" Did you mean {close[0]}?" if close else ""
            own = "" if group == "table" else ", nor the path of a YAML file of your own"
            raise InputError(f"{group}={shown(value)}: not one of {', '.join(valid)}{own}.{hint}")


def unreadable(name: str, words: list[str]) -> str | None:
    """A message about the first word that Hydra cannot read; None if it can read all."""
    for word in (word for word in words if not word.startswith("-")):
        key, equals, value = word.partition("=")
        if not equals and not key.startswith("~"):
            homes = [f"{group}={word}" for group in GROUPS if word in choices(group)]
            hint = f" Did you mean {' or '.join(homes)}?" if homes else ""
            return f"'{shown(word)}': must be KEY=VALUE; python -m src.{name} --help lists the keys.{hint}"
        try:
            OverridesParser.create().parse_override(word)
        except HydraException:
            return (
                f"{shown(key)}={shown(value)}: cannot be read: quotes and brackets come in pairs, and a text with any "
                "of = , : ' \" ( ) [ ] { } or a letter beyond A to Z needs quotes that the shell leaves, such as "
                f"'{shown(key)}=\"A=B\"'."
            )
    return None


def _values(word: str) -> list[Any]:
    """The values between the commas of a word; empty if Hydra cannot read it, or makes them itself."""
    try:
        parsed = OverridesParser.create().parse_override(word)
    except HydraException:
        return []  # Hydra will say so
    value: Any = parsed.value()
    if parsed.is_sweep_override():
        value = value.list if isinstance(value, ChoiceSweep) else []
    plain = [
        one.text if isinstance(one, QuotedString) else one for one in (value if isinstance(value, list) else [value])
    ]
    return [] if any("${" in str(one) for one in plain) else plain


def sentence(error: Exception, name: str, words: list[str], *, besides: Collection[str] = ()) -> str:
    """The error message for the user, one line: no class name, no worker traceback; for a misspelt key, the valid ones.

    Args:
        error: what was raised.
        name: of the root config.
        words: of the command line.
        besides: keys that the command takes in addition to those of the config.
    """
    if isinstance(error, InputError):
        text = str(error).rsplit("InputError: ", 1)[-1].strip()  # a data worker prefixes its traceback
    elif isinstance(error, OSError) and not isinstance(error, HydraException):
        text = f"{error.filename or name}: {error.strerror}; choose another place, or make room there."
    else:
        text = _misspelt_key(name, words, besides) or unreadable(name, words) or _told(error, name, words)
    text = printable(re.sub(r"\S{500,}", lambda found: f"{found[0][:200]}...{found[0][-200:]}", text))
    return text if len(text) <= 4000 else f"{text[:3000]} ... {text[-900:]}"


def _told(error: Exception, name: str, words: list[str]) -> str:
    """What Hydra or OmegaConf complain about, in our words where they are known."""
    if found := re.match(r"Ambiguous value for argument '(.*?)'\n1\.", str(error), re.DOTALL):
        key, _, value = found[1].partition("=")
        return (
            f"{key}={shown(value)}: commas make a sweep, which needs -m; a list needs brackets, {key}=[A,B]; "
            f"a text with a comma quotes that the shell leaves, '{key}=\"A,B\"'."
        )
    if (found := re.match(r"Could not override '(\w+)'", str(error))) and found[1] in GROUPS:
        return f"{found[1]}=: src.{name} takes no such choice; python -m src.{name} --help lists what it takes."
    text = str(error).partition("\nConfig search path")[0].partition("\nSee https://")[0]
    if isinstance(error, OmegaConfBaseException):
        found = re.search(r"full_key: (\S+)", text)
        place = found[1] if found else next((shown(word) for word in words if "${" in word), name)
        return f"{place}: {text.partition(chr(10))[0]}."
    reason = f" ({str(error.__cause__).partition(chr(10))[0]})" if isinstance(error.__cause__, Exception) else ""
    return " ".join(text.split()) + reason


def _misspelt_key(name: str, typed: list[str], besides: Collection[str]) -> str | None:
    """A message about the first `key=value` whose key does not exist, with the valid keys; None if all keys exist."""
    words = [word for word in typed if "=" in word and not word.startswith(("-", "+", "~", "="))]
    groups = [word for word in words if word.partition("=")[0] in GROUPS]
    with composing():
        try:
            config = hydra.compose(name, overrides=[word for word in groups if "," not in word])
        except (HydraException, ValueError):
            return None  # the choice is wrong, not the key
        for key in (word.partition("=")[0] for word in words if word not in groups):
            if (problem := _unknown(config, key, besides)) is not None:
                return problem
    return None


def _unknown(config: DictConfig, key: str, besides: Collection[str]) -> str | None:
    node: Any = config
    path: list[str] = []
    for part in key.split("@")[0].replace("/", ".").split("."):
        if part == "hydra":
            return None
        if not OmegaConf.is_dict(node) or part not in node:
            valid = sorted({*map(str, node), *(besides if not path else ())}) if OmegaConf.is_dict(node) else []
            close = difflib.get_close_matches(part, valid, n=1)
            where = f"in {'.'.join(path)}" if path else "among the options"
            hint = f" Did you mean {'.'.join([*path, close[0]])}?" if close else ""
            known = ", ".join(valid) or "nothing below a value"
            return f"{shown(key)}: there is no '{shown(part)}' {where}.{hint} Valid: {known}."
        path.append(part)
        node = node[part] if not OmegaConf.is_missing(node, part) else None
    return None
