"""CRF parameters by name or path, and variants with their presets written out. Imports no torch."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from src.core.compose import read_mapping
from src.core.errors import InputError
from src.core.names import CONF
from src.core.values import check_config, check_mapping, check_path, check_text, choice, either, many, parts
from src.crf.errors import CRFError
from src.crf.model import GUIDANCES, CRFParameters

FOLDER = CONF / "crf"
OPTIONAL = {"engine": "auto", "batch": None, "tuned": None}  # what a preset's file may leave out
PARAMETERS = tuple(field.name for field in fields(CRFParameters))
_TUNED = parts(  # what the code reads of a search's account of itself
    {"ids": many(check_text)},
    {"guidance": choice(*GUIDANCES), "fusion": either((None,), check_text), "options": either((None,), check_mapping)},
    more=True,
)
_PRODUCT = parts({"crf": many(check_text, 1, 100), "guidance": many(check_text, 1, 100), "fusion": check_mapping})


@contextmanager
def crf_told() -> Iterator[None]:
    """Turn what the dense CRF complains about into an InputError, which a command shows as a sentence."""
    try:
        yield
    except CRFError as error:
        raise InputError(str(error)) from error


def parameters(preset: Any) -> CRFParameters:
    """The parameters of a preset's mapping, checked.

    Raises:
        InputError: it is not a mapping, lacks a parameter, or has an unknown one.
    """
    check_mapping("crf", preset)
    name = preset.get("name", "crf")
    if missing := [key for key in PARAMETERS if key not in preset]:
        raise InputError(f"crf={name}: is not a CRF preset, it lacks {', '.join(missing)}.")
    if unknown := [str(key) for key in preset if key not in (*PARAMETERS, "name", *OPTIONAL)]:
        raise InputError(f"crf={name}: {', '.join(unknown)} is not part of a CRF preset.")
    check_config(preset.get("tuned"), either((None,), _TUNED), "crf.tuned")
    with crf_told():
        return CRFParameters(**{key: preset[key] for key in PARAMETERS})


def read(name: str) -> dict[str, Any]:
    """The preset `conf/crf/NAME.yaml`, or the one at a path that ends in .yaml.

    Raises:
        InputError: the file is missing, or is not a CRF preset.
    """
    check_path("crf", name)
    path = Path(name) if name.endswith((".yaml", ".yml")) else FOLDER / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in FOLDER.glob("*.yaml")))
        raise InputError(f"crf={name}: there is no {path}; the presets are {known}, or give the path of a YAML file.")
    content = {"name": path.stem, **OPTIONAL, **read_mapping(path, f"crf={name}")}
    try:
        parameters(content)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return content


def expand(variants: DictConfig) -> DictConfig:
    """Variants with the parameters of their presets written out, and `product` turned into all its combinations.

    Args:
        variants: name -> variant; a variant's `crf` may be the name or path of a preset. The key `product` holds the
            lists `crf` and `guidance` and a mapping `fusion` from rule (or `alone`) to options. It stands for all
            combinations; their names are CRF_GUIDANCE or CRF_GUIDANCE_RULE.
    """
    expanded: dict[str, Any] = {}
    try:
        content = OmegaConf.to_container(variants, resolve=True)
    except OmegaConfBaseException as error:
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"variants: a reference has no target ({reason}); variants=tuned needs crf=PATH of a preset "
            "that python -m src.tune has written."
        ) from error
    check_mapping("variants", content)
    assert isinstance(content, dict)
    for name, variant in content.items():
        expanded |= _multiplied(variant) if name == "product" else {str(name): variant}
    for variant in expanded.values():
        if isinstance(variant, dict) and isinstance(variant.get("crf"), str):
            variant["crf"] = read(variant["crf"])
    return OmegaConf.create(expanded)


def _multiplied(product: Any) -> dict[str, Any]:
    check_config(product, _PRODUCT, "variants.product")
    found = {}
    for crf in product["crf"]:
        for guidance in product["guidance"]:
            for rule, options in product["fusion"].items():
                name = f"{Path(crf).stem}_{guidance}" + ("" if rule == "alone" else f"_{rule}")
                fusion = {} if rule == "alone" else {"fusion": rule, "options": options}
                found[name] = {"crf": crf, "guidance": guidance, **fusion}
    return found


def tuned_on(config: DictConfig) -> dict[str, frozenset[str]]:
    """Per tuned preset of a config, the images that it was tuned on; they must not be scored."""
    variants = config.get("variants", {}).values()
    presets = [config.crf, *(variant.crf for variant in variants if variant and variant.get("crf"))]
    found: dict[str, frozenset[str]] = {}
    for preset in presets:
        if preset.get("tuned"):
            name = preset.get("name", "crf")
            found[name] = found.get(name, frozenset()) | frozenset(preset.tuned.ids)
    return found
