"""The keys of each command's config, and what each may be. A new key has its one place here or in its group's module.

Where a group is only a mapping here, a function of `src.runs.checks.commands` looks into it. No torch.
"""

import re
from typing import Any

from src.core.errors import InputError
from src.core.values import (
    Check,
    check_choice,
    check_flag,
    check_folder_name,
    check_mapping,
    check_path,
    check_text,
    choice,
    each,
    either,
    many,
    number,
    parts,
    shown,
    whole,
)
from src.crf.model import GUIDANCES, LIMITS
from src.runs.checks.network import BACKBONE, HEAD
from src.runs.checks.recipe import PROTOCOLS, RECIPE
from src.runs.checks.trainer import LOGGER, TRAINER
from src.runs.checks.variants import check_fusion_options
from src.scoring import presets
from src.scoring.fusion import RULES

COUNT = 1_000_000  # more images, trials or pictures than anybody has
SEED = whole(0, 2**32 - 1)  # torch takes (seed * 10007 + epoch) * 1009 + rank, below 2^63


def _run_name(key: str, value: Any) -> None:
    check_folder_name(key, str(value) if isinstance(value, int) and not isinstance(value, bool) else value)


def worst_count(value: Any) -> int | None:
    """N of `worst:N`; None for anything else."""
    found = re.fullmatch(r"worst:(\d{1,4})", value) if isinstance(value, str) else None
    return int(found[1]) or None if found else None


def _worst(key: str, value: Any) -> None:
    if worst_count(value) is None:
        raise InputError(f"{key}={shown(value)}: must be worst:N with N from 1 to 9999.")


def _worst_or(check: Check) -> Check:
    """`worst:N`, or what `check` accepts."""

    def checked(key: str, value: Any) -> None:
        if isinstance(value, str) and value.startswith("worst"):
            _worst(key, value)
        else:
            check(key, value)

    return checked


def _number_or_list(key: str, value: Any) -> None:
    (check_path if isinstance(value, str) else whole(0, COUNT))(key, value)


PLUGINS = each(check_text)  # name as typed: start of the hash
PATH = either((None,), check_path)
WHITE = either((None,), whole(256, 65535))
TRAIN = parts(
    {
        **dict.fromkeys(("loss", "data", "crf", "variants"), check_mapping),
        "plugins": PLUGINS,
        "backbone": BACKBONE,
        "head": HEAD,
        "recipe": RECIPE,
        "trainer": TRAINER,
        "logger": LOGGER,
        "seed": SEED,
        "runs": check_path,
        "name": either((None,), _run_name),
        "resume": either((None, "auto", "last"), check_path),
        "overwrite": check_flag,
        "dry_run": check_flag,
        "keep_logits": check_flag,
        "panels": _worst_or(whole(0, COUNT)),
        "jobs": whole(1, 64, "processes at a time"),
    },
    {"table": check_mapping},
)
_LOADED = {
    "crf": check_mapping,
    "plugins": PLUGINS,
    "trainer": TRAINER,
    "run": PATH,
    "checkpoint": PATH,
    "protocol": either((None,), choice(*PROTOCOLS)),
}
_NETWORK = {**_LOADED, "output": PATH, "runs": check_path}
_SCORING = {**_NETWORK, **dict.fromkeys(("data", "recipe"), check_mapping), "logits": PATH}
EVALUATE = parts(
    {
        **_SCORING,
        "onnx": PATH,
        "variants": check_mapping,
        "logger": LOGGER,
        "keep_logits": PATH,
        "panels": _worst_or(_number_or_list),
        "map_classes": either((None,), each(either((None,), check_text))),
    }
)


def _images(key: str, value: Any) -> None:
    (check_path if isinstance(value, str) else many(check_path, 1))(key, value)


PREDICT = parts(
    {
        **_NETWORK,
        "variants": check_mapping,
        "images": either((None,), _images),
        "variant": either((None,), check_text),
        "window": either((None, "auto"), whole(64, 8192)),
        "white": WHITE,
        "probabilities": check_flag,
    }
)
PAGE = parts(
    {
        **_LOADED,
        "data": check_mapping,
        "beside": PATH,
        "white": WHITE,
        "examples": whole(0, 100),
        "upload": whole(1, 1000),
        "pixels": whole(10_000, 40_000_000),
        "port": either((None,), whole(1, 65535)),
    }
)


def _space(key: str, value: Any) -> None:
    check_mapping(key, value)
    if not value:
        raise InputError("space is empty: nothing would be searched.")
    for name, bounds in value.items():
        check_choice(key, name, [name for name in presets.PARAMETERS if name != "label_floor"])
        low, high = LIMITS[name]
        kind = whole(int(low), int(high)) if name == "iterations" else number(low, high)
        parts({"low": kind, "high": kind}, {"log": check_flag})(f"{key}.{name}", bounds)
        if name != "iterations" and not all(isinstance(bounds[side], float) for side in ("low", "high")):
            raise InputError(f"{key}.{name}: low and high must be numbers with a decimal point, such as 2.0.")
        if bounds.get("log") and bounds["low"] == 0:
            raise InputError(f"{key}.{name}.low={bounds['low']}: must be above 0 with log.")
        if bounds["low"] > bounds["high"]:
            raise InputError(f"{key}.{name}: low={bounds['low']} lies above high={bounds['high']}.")


def _fusion(key: str, value: Any) -> None:
    check_mapping(key, value)
    for rule, options in value.items():
        if rule != "alone":
            check_choice(key, rule, RULES.names)
            check_fusion_options(f"{key}.{rule}", rule, options)
    if not value:
        raise InputError("fusion is empty: nothing would be scored; for the CRF without fusion give `alone: {}`.")


TUNE = parts(
    {
        **_SCORING,
        "split": choice("train", "val"),
        "images": whole(1, COUNT),
        "trials": whole(1, COUNT),
        "per_lattice": whole(1, 1000),
        "guidance": choice(*GUIDANCES),
        "seed": SEED,
        "name": check_folder_name,
        "space": _space,
        "fusion": _fusion,
    }
)
EXPORT = parts(
    {
        **dict.fromkeys(("data", "crf", "recipe"), check_mapping),
        "plugins": PLUGINS,
        "trainer": TRAINER,
        **dict.fromkeys(("run", "checkpoint", "output"), PATH),
        "runs": check_path,
        "protocol": either((None,), choice(*PROTOCOLS)),
        "format": choice("onnx", "folder"),
        "int8": check_flag,
        "calibration": whole(1, 10_000, "images"),
        "resamples": whole(100, 1_000_000),
        "push": either((None,), check_text),
    }
)
CHECK = parts({"data": check_mapping, "plugins": PLUGINS, **dict.fromkeys(("images", "masks", "write", "sheet"), PATH)})
REPORT = parts(
    {
        "options": many(check_text),
        "title": either((None,), check_folder_name),
        **dict.fromkeys(("question", "baseline"), either((None,), check_text)),
        "names": either((None,), many(check_text)),
        **dict.fromkeys(("output", "insert", "records"), PATH),
        "logger": LOGGER,
        "resamples": whole(100, 1_000_000),
        "images": either((None,), _worst),
        **dict.fromkeys(("definitions", "ensemble"), check_flag),
    }
)
PLAN = parts(
    {
        "options": many(check_text),
        "runs": PATH,
        "into": check_path,
        "jobs": whole(1, 64, "processes at a time"),
        "steps": either((None,), whole(0, 10_000)),
    }
)
