"""Checks of variants: names, inference, CRF parameters, guidance, fusion. No torch."""

import math
import re
from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig

from src.core.errors import InputError
from src.core.values import (
    check_choice,
    check_config,
    check_flag,
    check_keys,
    check_mapping,
    either,
    many,
    number,
    parts,
    shown,
    whole,
)
from src.crf.model import GUIDANCES
from src.runs.checks.recipe import NORMAL
from src.scoring import presets
from src.scoring.fusion import LIMITS, RULES, needs_background, options_of

MOST = 1000  # variants; table=crf_fusion has 49
_INFERENCE = parts(  # see `src.models.inference`
    {},
    {
        "scales": many(number(*NORMAL), 1, 16),
        "flip": check_flag,
        "window": either((None,), whole(32, 8192)),
        "overlap": number(0, 0.9),
    },
)


def check_variants(variants: DictConfig, background: int | None) -> None:
    """Raise InputError for variants that cannot be scored; their presets must be written out already.

    `background`: label of the class that is the background, which some rules need.
    """
    check_config(variants, _all, "variants")
    if background is None and (
        needy := [str(k) for k, one in variants.items() if one and needs_background(one.get("fusion"))]
    ):
        words = " ".join(f"'~variants.{name}'" for name in needy)
        raise InputError(
            f"variants {', '.join(needy)}: their rule asks where the background is, but none of the classes is it "
            f"(data.background is null); leave them out with {words}, or name the class, or use variants=none."
        )


def _all(key: str, variants: Any) -> None:
    check_mapping(key, variants)
    for name, variant in variants.items():
        if not re.fullmatch(r"\w{1,100}", str(name)) or str(name) == "ids":
            raise InputError(
                f"variants.{shown(name)}: a name consists of at most 100 letters, digits and _, and must not be 'ids'."
            )
        if variant not in (None, {}):
            _variant(f"variants.{name}", variant)
    if not 0 < len(variants) <= MOST:
        wrong = f"has {len(variants)} rows, but at most {MOST} are scored" if variants else "is empty"
        raise InputError(f"variants {wrong}; try variants=standard.")


def _variant(where: str, variant: Any) -> None:
    check_mapping(where, variant)
    check_keys(where, variant, ("crf", "guidance", "fusion", "options", "inference"))
    if variant.get("inference") is not None:
        _inference(f"{where}.inference", variant["inference"])
        if not any(variant.get(key) for key in ("crf", "guidance", "fusion", "options")):
            return
    if variant.get("crf") is not None:
        try:
            presets.parameters(variant["crf"])
        except InputError as error:
            raise InputError(f"{where}.{error}") from error
    check_choice(f"{where}.guidance", variant.get("guidance"), GUIDANCES)
    if variant.get("fusion") is not None:
        check_choice(f"{where}.fusion", variant["fusion"], RULES.names)
        check_fusion_options(f"{where}.options", variant["fusion"], variant.get("options"))
    elif variant.get("options"):
        raise InputError(f"{where}.options: belong to a fusion rule, but no rule is named.")


def _inference(where: str, looks: Any) -> None:
    """Raise InputError for a wrong `inference` of a variant."""
    _INFERENCE(where, looks)
    if looks.get("window") is None and "overlap" in looks:
        raise InputError(f"{where}.overlap: is the overlap of windows, but `window` is not given.")


def check_kept(variants: DictConfig) -> None:
    """Raise InputError for variants that cannot be scored from kept logits."""
    if needy := need_network(variants):
        raise InputError(
            f"keep_logits: variants {', '.join(needy)} look more than once at an image, and need the network itself."
        )


def need_network(variants: DictConfig) -> list[str]:
    """The variants that look at an image more than once or in parts; the logits of one pass are not enough for them."""

    def is_plain(looks: Any) -> bool:
        return not looks.get("flip") and looks.get("window") is None and list(looks.get("scales", [1])) == [1]

    return [str(name) for name, variant in variants.items() if variant and not is_plain(variant.get("inference") or {})]


def check_fusion_options(where: str, rule: str, options: Any) -> None:
    """The options of a rule are its keyword-only arguments; `LIMITS` of `src.scoring.fusion` holds their ranges."""
    if options is not None and not isinstance(options, Mapping):
        raise InputError(f"{where}={shown(options)}: must be a mapping, such as {{weight: 0.5}}.")
    known = options_of(rule)
    if set(options or {}) != set(known):
        raise InputError(f"{where}={shown(options)}: the rule '{rule}' takes {', '.join(known) or 'none'}, each once.")
    for key, value in (options or {}).items():
        low, high = LIMITS.get(key, (-math.inf, math.inf))
        is_kind = isinstance(value, type(low)) and not isinstance(value, bool)
        if not is_kind or not low <= value <= high:
            raise InputError(
                f"{where}.{key}={shown(value)}: must be of type {type(low).__name__}, from {low} to {high}."
            )
