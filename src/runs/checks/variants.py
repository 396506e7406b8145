"""Checks of variants: names, inference, CRF parameters, guidance, fusion. No torch."""

import inspect
import math
import re
from typing import Any

from omegaconf import DictConfig, OmegaConf

from src.core.errors import InputError
from src.core.values import check_choice, check_flag, check_keys, check_number, check_whole
from src.crf.model import GUIDANCES
from src.scoring import presets
from src.scoring.fusion import LIMITS, RULES


def check_variants(variants: DictConfig) -> None:
    """Raise InputError for variants that cannot be scored; their presets must be written out already."""
    for name, variant in ((str(key), value) for key, value in variants.items()):
        if not re.fullmatch(r"\w+", name) or name == "ids":
            raise InputError(f"variants.{name}: a name consists of letters, digits and _, and must not be 'ids'.")
        if not variant:
            continue
        check_keys(f"variants.{name}", variant, ("crf", "guidance", "fusion", "options", "inference"))
        if variant.get("inference") is not None:
            _inference(f"variants.{name}.inference", variant.inference)
            if not any(variant.get(key) for key in ("crf", "guidance", "fusion", "options")):
                continue
        if variant.get("crf") is not None:
            presets.parameters(variant.crf)
        check_choice(f"variants.{name}.guidance", variant.get("guidance"), GUIDANCES)
        if variant.get("fusion") is not None:
            check_choice(f"variants.{name}.fusion", variant.fusion, RULES.names)
            check_fusion_options(f"variants.{name}.options", variant.fusion, dict(variant.get("options") or {}))
        elif variant.get("options"):
            raise InputError(f"variants.{name}.options: belong to a fusion rule, but no rule is named.")
    if not variants:
        raise InputError("variants is empty: nothing would be scored; try variants=standard.")


def need_network(variants: DictConfig) -> list[str]:
    """The variants that look at an image more than once or in parts; the logits of one pass are not enough for them."""

    def is_plain(looks: Any) -> bool:
        return not looks.get("flip") and looks.get("window") is None and list(looks.get("scales", [1])) == [1]

    return [str(name) for name, variant in variants.items() if variant and not is_plain(variant.get("inference") or {})]


def _inference(where: str, looks: Any) -> None:
    """Raise InputError for a wrong `inference` of a variant; see `src.models.inference`."""
    if not OmegaConf.is_dict(looks):
        raise InputError(f"{where}={looks}: must say how, such as {{flip: true}}.")
    check_keys(where, looks, ("scales", "flip", "window", "overlap"))
    scales = looks.get("scales", [1.0])
    if not OmegaConf.is_list(scales) and not isinstance(scales, list):
        raise InputError(f"{where}.scales={scales}: must be a list, such as [0.75,1,1.25].")
    if not scales:
        raise InputError(f"{where}.scales=[]: give at least one, such as [1.0].")
    for scale in scales:
        check_number(f"{where}.scales", scale, 0.05, 8)
    check_flag(f"{where}.flip", looks.get("flip", False))
    if looks.get("window") is not None:
        check_whole(f"{where}.window", looks.window, least=32)
    elif "overlap" in looks:
        raise InputError(f"{where}.overlap: is the overlap of windows, but `window` is not given.")
    check_number(f"{where}.overlap", looks.get("overlap", 0), 0, 0.9)


def check_fusion_options(where: str, rule: str, options: dict[Any, Any]) -> None:
    """The options of a rule are its keyword-only arguments; `LIMITS` of `src.scoring.fusion` holds their ranges."""
    named = inspect.signature(RULES[rule]).parameters.values()
    known = [parameter.name for parameter in named if parameter.kind is parameter.KEYWORD_ONLY]
    if set(options) != set(known):
        raise InputError(f"{where}={options}: the rule '{rule}' takes {', '.join(known) or 'none'}, each once.")
    for key, value in options.items():
        low, high = LIMITS.get(key, (-math.inf, math.inf))
        if not isinstance(value, type(low)) or not low <= value <= high:
            raise InputError(f"{where}.{key}={value}: must be of type {type(low).__name__}, from {low} to {high}.")
