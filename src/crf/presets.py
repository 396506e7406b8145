"""CRF parameters from files: `crf=NAME` and `crf=PATH`, and variants that name a preset of their own. No torch."""

import hashlib
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from src.crf.model import CRFParameters
from src.errors import InputError

FOLDER = Path(__file__).resolve().parents[2] / "conf" / "crf"
_PATHS: dict[str, str] = {}  # registered names to the paths they stand for
PARAMETERS = tuple(field.name for field in fields(CRFParameters))


def parameters(preset: Any) -> CRFParameters:
    """The parameters of a preset's mapping, checked."""
    return CRFParameters(**{name: preset[name] for name in PARAMETERS})


def read(name: str) -> dict[str, Any]:
    """The preset `conf/crf/NAME.yaml`, or the one at a path that ends in .yaml.

    Raises:
        InputError: there is none, or it lacks a parameter.
    """
    path = Path(name) if name.endswith((".yaml", ".yml")) else FOLDER / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in FOLDER.glob("*.yaml")))
        raise InputError(f"crf={name}: there is no {path}; the presets are {known}, or give the path of a YAML file.")
    try:
        content = OmegaConf.to_container(OmegaConf.load(path), resolve=True)
    except (YAMLError, OmegaConfBaseException, UnicodeDecodeError) as error:
        raise InputError(f"{path}: is no YAML file ({error}).") from error
    missing = [key for key in (*PARAMETERS, "engine") if not isinstance(content, dict) or key not in content]
    if missing:
        raise InputError(f"{path}: is no CRF preset, it lacks {', '.join(missing)}.")
    assert isinstance(content, dict)
    unknown = [str(key) for key in content if key not in (*PARAMETERS, "engine", "name", "tuned")]
    if unknown:
        raise InputError(f"{path}: {', '.join(unknown)} is not part of a CRF preset.")
    return {"name": path.stem, "tuned": None, **{str(key): value for key, value in content.items()}}


def register(words: list[str]) -> list[str]:
    """Make each file that `crf=PATH` names a choice that Hydra knows, and name it so; other words are left alone."""
    return ["crf=" + ",".join(map(_choice, word[4:].split(","))) if word.startswith("crf=") else word for word in words]


def typed(words: Sequence[str]) -> list[str]:
    """The words as they were before `register`."""
    return [f"crf={_PATHS.get(word[4:], word[4:])}" if word.startswith("crf=") else word for word in words]


def _choice(value: str) -> str:
    if not value.endswith((".yaml", ".yml")):
        return value
    content = read(value)
    name = f"{Path(value).stem}_{hashlib.sha256(repr(content).encode()).hexdigest()[:8]}"
    _PATHS[name] = value
    ConfigStore.instance().store(name=name, node=content, group="crf")
    return name


def expand(variants: DictConfig) -> DictConfig:
    """Variants with their presets' parameters written out, and `product` multiplied.

    Args:
        variants: names to variants; a variant's `crf` may be the name or path of a preset. The key `product` holds
            lists `crf` and `guidance` and a mapping `fusion` from rule, or `alone`, to options; it stands for all
            combinations, named CRF_GUIDANCE or CRF_GUIDANCE_RULE.
    """
    expanded: dict[str, Any] = {}
    try:
        content = OmegaConf.to_container(variants, resolve=True)
    except OmegaConfBaseException as error:
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"variants: a reference leads nowhere ({reason}); variants=tuned needs crf=PATH of a preset "
            "that python -m src.tune has written."
        ) from error
    assert isinstance(content, dict)
    for name, variant in content.items():
        expanded |= _multiplied(variant) if name == "product" else {str(name): variant}
    for variant in expanded.values():
        if isinstance(variant, dict) and isinstance(variant.get("crf"), str):
            variant["crf"] = read(variant["crf"])
    return OmegaConf.create(expanded)


def _multiplied(product: Any) -> dict[str, Any]:
    if not isinstance(product, dict) or set(product) != {"crf", "guidance", "fusion"}:
        raise InputError("variants.product: needs the lists crf and guidance and the mapping fusion, and nothing else.")
    found = {}
    for crf in product["crf"]:
        for guidance in product["guidance"]:
            for rule, options in product["fusion"].items():
                name = f"{Path(crf).stem}_{guidance}" + ("" if rule == "alone" else f"_{rule}")
                fusion = {} if rule == "alone" else {"fusion": rule, "options": options}
                found[name] = {"crf": crf, "guidance": guidance, **fusion}
    return found


def tuned_on(config: DictConfig) -> dict[str, frozenset[str]]:
    """Per tuned preset of a config the images that it was tuned on, which must not be scored."""
    variants = config.get("variants", {}).values()
    presets = [config.crf, *(variant.crf for variant in variants if variant and variant.get("crf"))]
    return {preset.name: frozenset(preset.tuned.ids) for preset in presets if preset.get("tuned")}
