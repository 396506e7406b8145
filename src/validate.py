"""Checks of a composed config that need no torch: run before anything heavy is imported."""

import inspect
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from src.crf import presets
from src.crf.model import GUIDANCES
from src.crf.pydensecrf import require
from src.errors import InputError
from src.fusion import LIMITS, RULES

ENGINES = ("auto", "numba", "torch", "pydensecrf")
PROTOCOLS = ("voc", "squash224")
SCHEDULES = ("plateau", "step", "constant")
ACCELERATORS = ("auto", "cpu", "cuda", "gpu", "mps")
PRECISIONS = ("auto", "32-true", "bf16-mixed", "16-mixed")
MONITORS = ("val/miou", "val/pixel_accuracy", "val/loss")


def check_train(config: DictConfig) -> None:
    """Raise InputError for what cannot be trained."""
    recipe = config.recipe
    _choice("head.output_stride", config.head.output_stride, (8, 16))
    _choice("recipe.schedule", recipe.schedule, SCHEDULES)
    _choice("recipe.protocol", recipe.protocol, PROTOCOLS)
    _whole("recipe.epochs", recipe.epochs, least=0)
    _whole("recipe.batch_size", recipe.batch_size, least=2, why="BatchNorm of the ASPP's pooling needs two images")
    _whole("recipe.val_every", recipe.val_every, least=1)
    if 0 < recipe.epochs < recipe.val_every:
        raise InputError(f"recipe.val_every={recipe.val_every}: more than recipe.epochs={recipe.epochs}; never scored.")
    _whole("recipe.accumulate", recipe.accumulate, least=1)
    if recipe.ema is not None and not (_is_number(recipe.ema) and 0 < recipe.ema < 1):
        raise InputError(f"recipe.ema={recipe.ema}: a decay lies between 0 and 1, such as 0.999; null is none.")
    if recipe.gradient_clip is not None and not (_is_number(recipe.gradient_clip) and recipe.gradient_clip > 0):
        raise InputError(f"recipe.gradient_clip={recipe.gradient_clip}: must be a norm above 0; null does not clip.")
    if recipe.gradient_clip and config.trainer.precision == "16-mixed" and recipe.optimizer.get("fused"):
        raise InputError("recipe.gradient_clip: with trainer.precision=16-mixed it needs recipe.optimizer.fused=false.")
    _freezing(config)
    terms = [f"val/loss/{term}" for term in config.loss.get("terms", {})]
    _choice("recipe.monitor", recipe.monitor, (*MONITORS, *terms))
    _augment(recipe.augment)
    _schedule(recipe)
    _whole("seed", config.seed, least=0)
    _whole("jobs", config.jobs, least=1)
    needy = [str(name) for name, variant in config.variants.items() if variant and variant.get("inference")]
    if config.keep_logits and needy:
        raise InputError(
            f"keep_logits: variants {', '.join(needy)} look more than once, so they need the network itself."
        )
    if config.overwrite and config.resume not in (None, "auto"):
        raise InputError(
            "overwrite=true and resume contradict: one deletes the checkpoint that the other goes on from."
        )
    _common(config)


def check_evaluate(config: DictConfig) -> None:
    """Raise InputError for what cannot be scored."""
    _source(config)
    if config.keep_logits is not None and config.logits is not None:
        raise InputError("keep_logits: the logits are in files already; it goes with run=FOLDER or checkpoint=PATH.")
    _common(config)


def _source(config: DictConfig) -> None:
    """Raise InputError unless exactly one source of predictions is given and exists, and its protocol does."""
    given = [key for key in ("run", "checkpoint", "logits") if config[key] is not None]
    if len(given) != 1:
        raise InputError(
            f"give exactly one of run=FOLDER, checkpoint=PATH, logits=FOLDER; given: {', '.join(given) or 'none'}."
        )
    path = Path(config[given[0]])
    if not path.exists():
        raise InputError(f"{given[0]}={path}: does not exist.")
    if given[0] != "checkpoint" and not path.is_dir():
        raise InputError(f"{given[0]}={path}: is a file, a folder is needed; a checkpoint goes with checkpoint=PATH.")
    if config.protocol is not None:
        _choice("protocol", config.protocol, PROTOCOLS)
    for word in HydraConfig.get().overrides.task:
        if re.match(r"[+~]*recipe\b", word):
            raise InputError(f"{word}: the recipe belongs to the training; the protocol of scoring is protocol=.")


def check_tune(config: DictConfig) -> None:
    """Raise InputError for a search that cannot be run."""
    _source(config)
    _choice("split", config.split, ("train", "val"))
    if config.trainer.devices != 1 or config.trainer.nodes != 1:
        raise InputError("trainer.devices: the search runs in one process; leave it out.")
    _choice("guidance", config.guidance, GUIDANCES)
    for key in ("images", "trials", "per_lattice"):
        _whole(key, config[key], least=1)
    _whole("seed", config.seed, least=0)
    if not config.space:
        raise InputError("space is empty: nothing would be searched.")
    for key, bounds in config.space.items():
        _choice("space", key, [name for name in presets.PARAMETERS if name != "label_floor"])
        _keys(f"space.{key}", bounds, ("low", "high", "log"))
        whole = key == "iterations"
        for side in ("low", "high"):
            value = bounds.get(side)
            if not isinstance(value, int if whole else float) or value < 0 or (bounds.get("log") and value == 0):
                kind = "a whole number" if whole else "a number with a decimal point"
                raise InputError(f"space.{key}.{side}={value}: must be {kind}, 0 or more; above 0 with log.")
        if bounds.low > bounds.high:
            raise InputError(f"space.{key}: low={bounds.low} lies above high={bounds.high}.")
    for rule, options in config.fusion.items():
        if rule != "alone":
            _choice("fusion", rule, tuple(RULES))
            _fusion_options(f"fusion.{rule}", str(rule), dict(options or {}))
    if not config.fusion:
        raise InputError("fusion is empty: nothing would be scored; `alone: {}` is the CRF without fusion.")
    _machine(config)
    _crf(config)
    _limits(config)


def check_report(config: DictConfig) -> None:
    """Raise InputError for a report that cannot be made."""
    _whole("resamples", config.resamples, least=100)
    if not config.options:
        raise InputError("nothing to report on: give table=NAME, the options of a sweep, or runs=FOLDER,FOLDER,....")


def check_data(config: DictConfig) -> None:
    """Raise InputError for a data set that cannot be looked at."""
    _limits(config)


def _machine(config: DictConfig) -> None:
    trainer = config.trainer
    _choice("trainer.accelerator", trainer.accelerator, ACCELERATORS)
    _choice("trainer.precision", trainer.precision, PRECISIONS)
    if trainer.max_time is not None and not re.fullmatch(r"\d\d:\d\d:\d\d:\d\d", str(trainer.max_time)):
        raise InputError(f"trainer.max_time={trainer.max_time}: write it as DD:HH:MM:SS, such as 00:01:30:00.")
    if trainer.workers is not None:
        _whole("trainer.workers", trainer.workers, least=0)
    if trainer.devices != "auto":
        _whole("trainer.devices", trainer.devices, least=1, why="or auto")
    _whole("trainer.nodes", trainer.nodes, least=1)
    for key in ("compile", "profile"):
        _choice(f"trainer.{key}", trainer[key], (True, False))
    if trainer.cache != "auto" and not (_is_number(trainer.cache) and trainer.cache >= 0):
        raise InputError(f"trainer.cache={trainer.cache}: must be auto or GB, 0 for none.")


def _crf(config: DictConfig) -> None:
    _choice("crf.engine", config.crf.engine, ENGINES)
    if config.crf.engine == "pydensecrf":
        require()
    presets.parameters(config.crf)


def _common(config: DictConfig) -> None:
    _machine(config)
    _whole("panels", config.panels, least=0)
    _crf(config)
    _limits(config)
    for name, variant in config.variants.items():
        if not re.fullmatch(r"\w+", str(name)) or str(name) == "ids":
            raise InputError(f"variants.{name}: a name is made of letters, digits and _, and is not 'ids'.")
        if not variant:
            continue
        _keys(f"variants.{name}", variant, ("crf", "guidance", "fusion", "options", "inference"))
        if variant.get("inference") is not None:
            _inference(f"variants.{name}.inference", variant.inference)
            if not any(variant.get(key) for key in ("crf", "guidance", "fusion", "options")):
                continue
        if variant.get("crf") is not None:
            presets.parameters(variant.crf)
        _choice(f"variants.{name}.guidance", variant.get("guidance"), GUIDANCES)
        if variant.get("fusion") is not None:
            _choice(f"variants.{name}.fusion", variant.fusion, tuple(RULES))
            _fusion_options(f"variants.{name}.options", variant.fusion, dict(variant.get("options") or {}))
        elif variant.get("options"):
            raise InputError(f"variants.{name}.options: belong to a fusion rule, and none is named.")
    if not config.variants:
        raise InputError("variants is empty: nothing would be scored; try variants=standard.")


def _inference(where: str, looks: DictConfig) -> None:
    """Raise InputError for a way of looking at images that there is not; see `src.inference`."""
    _keys(where, looks, ("scales", "flip", "window", "overlap"))
    scales = looks.get("scales", [1.0])
    if not OmegaConf.is_list(scales) and not isinstance(scales, list):
        raise InputError(f"{where}.scales={scales}: must be a list, such as [0.75,1,1.25].")
    if not scales or not all(isinstance(scale, int | float) and 0 < scale <= 8 for scale in scales):
        raise InputError(f"{where}.scales={list(scales)}: must be factors above 0, at most 8.")
    _choice(f"{where}.flip", looks.get("flip", False), (True, False))
    if looks.get("window") is not None:
        _whole(f"{where}.window", looks.window, least=32)
    if not 0 <= looks.get("overlap", 0) < 1:
        raise InputError(f"{where}.overlap={looks.overlap}: a share, from 0 to below 1.")


def _fusion_options(where: str, rule: str, options: dict[Any, Any]) -> None:
    """The options of a rule are its keyword-only arguments; `LIMITS` of `src.fusion` holds their ranges."""
    named = inspect.signature(RULES[rule]).parameters.values()
    known = [parameter.name for parameter in named if parameter.kind is parameter.KEYWORD_ONLY]
    if set(options) != set(known):
        raise InputError(f"{where}={options}: the rule '{rule}' takes {', '.join(known) or 'none'}, each once.")
    for key, value in options.items():
        low, high = LIMITS[key]
        if not isinstance(value, type(low)) or not low <= value <= high:
            raise InputError(f"{where}.{key}={value}: must be of type {type(low).__name__}, from {low} to {high}.")


def _augment(augment: DictConfig) -> None:
    where = "recipe.augment"
    _whole(f"{where}.crop", augment.crop, least=1)
    if len(augment.scale) != 2 or not 0 < augment.scale[0] <= augment.scale[1]:
        raise InputError(f"{where}.scale={augment.scale}: must be two factors, rising from above 0.")
    if not 0 <= augment.flip <= 1:
        raise InputError(f"{where}.flip={augment.flip}: a probability is from 0 to 1.")
    for key, value in augment.jitter.items():
        most = 0.5 if key == "hue" else 1
        if not 0 <= value <= most:
            raise InputError(f"{where}.jitter.{key}={value}: must be from 0 to {most}.")


def _freezing(config: DictConfig) -> None:
    _choice("recipe.freeze_batchnorm", config.recipe.freeze_batchnorm, (True, False))
    if config.recipe.freeze_batchnorm and config.backbone.weights in (None, "none"):
        raise InputError("recipe.freeze_batchnorm=true: needs pretrained weights, and backbone.weights is none.")


def _schedule(recipe: DictConfig) -> None:
    target = "null" if recipe.scheduler is None else str(recipe.scheduler["_target_"])
    fits = {"constant": target == "null", "plateau": target.endswith("ReduceLROnPlateau")}
    if not fits.get(recipe.schedule, target != "null" and not fits["plateau"]):
        raise InputError(
            f"recipe.schedule={recipe.schedule} and recipe.scheduler={target} contradict: plateau goes with "
            "ReduceLROnPlateau, constant with null, step with schedulers of a fixed length."
        )


def _limits(config: DictConfig) -> None:
    for key in ("train_limit", "val_limit"):
        if config.data[key] is not None:
            _whole(f"data.{key}", config.data[key], least=1)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _choice(key: str, value: Any, valid: Iterable[Any]) -> None:
    if value not in valid:
        raise InputError(f"{key}={value}: not one of {', '.join(map(str, valid))}.")


def _whole(key: str, value: Any, *, least: int, why: str = "") -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InputError(f"{key}={value}: must be a whole number of at least {least}{f' ({why})' if why else ''}.")


def _keys(where: str, node: DictConfig, valid: tuple[str, ...]) -> None:
    for key in map(str, node):
        if key not in valid:
            raise InputError(f"{where}.{key}: there is no such key; valid: {', '.join(valid)}.")
