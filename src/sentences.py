"""Errors as their reader needs them: one sentence, and for a misspelt key those that there are. Imports no torch."""

import difflib
from collections.abc import Collection
from typing import Any

from hydra import compose
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from src.errors import InputError
from src.jobs import CONF, composing


def sentence(error: Exception, name: str, words: list[str], *, besides: Collection[str] = ()) -> str:
    """The error as its reader needs it: no class name, no worker traceback; a misspelt key with the valid ones.

    Args:
        error: what was raised.
        name: of the root config.
        words: of the command line.
        besides: keys that the command has besides those of the config.
    """
    if isinstance(error.__cause__, InputError):  # raised while an object was made of its config
        error = error.__cause__
    if isinstance(error, InputError):
        return str(error).rsplit("InputError: ", 1)[-1].strip()  # a data worker prefixes its traceback
    return _misspelt_key(name, words, besides) or str(error).partition("\nConfig search path")[0].strip()


def _misspelt_key(name: str, typed: list[str], besides: Collection[str]) -> str | None:
    """The first `key=value` of the command line whose key does not exist, with the keys that do."""
    words = [word for word in typed if "=" in word and not word.startswith(("-", "+", "~"))]
    groups = [w for w in words if (CONF / w.partition("=")[0]).is_dir() or w.startswith("table=")]
    with composing():
        try:
            config = compose(name, overrides=[word for word in groups if "," not in word])
        except HydraException:
            return None  # the choice is wrong, not the key: Hydra's message lists the choices
        for override in OverridesParser.create().parse_overrides([word for word in words if word not in groups]):
            if (problem := _unknown(config, override.key_or_group, besides)) is not None:
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
            return f"{key}: there is no '{part}' {where}.{hint} Valid: {', '.join(valid) or 'nothing below a value'}."
        path.append(part)
        node = node[part] if not OmegaConf.is_missing(node, part) else None
    return None
