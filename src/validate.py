"""Checks of a composed config that need no torch: run before anything heavy is imported."""

import re
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from src.crf import presets
from src.crf.model import GUIDANCES
from src.crf.pydensecrf import require
from src.errors import InputError
from src.fusion import RULES
from src.processes import check_launcher
from src.recipe_checks import PROTOCOLS, check_recipe
from src.value_checks import check_choice, check_flag, check_keys, check_number, check_whole
from src.variant_checks import check_fusion_options, check_variants, need_network

ENGINES = ("auto", "numba", "torch", "pydensecrf")
ACCELERATORS = ("auto", "cpu", "cuda", "gpu", "mps")
PRECISIONS = ("auto", "32-true", "bf16-mixed", "16-mixed")
MONITORS = ("val/miou", "val/pixel_accuracy", "val/loss")


def check_train(config: DictConfig) -> None:
    """Raise InputError for what cannot be trained."""
    recipe = config.recipe
    check_choice("head.output_stride", config.head.output_stride, (8, 16))
    check_recipe(recipe)
    if recipe.gradient_clip and config.trainer.precision == "16-mixed" and recipe.optimizer.get("fused"):
        raise InputError("recipe.gradient_clip: with trainer.precision=16-mixed it needs recipe.optimizer.fused=false.")
    if recipe.freeze_batchnorm and config.backbone.weights in (None, "none"):
        raise InputError("recipe.freeze_batchnorm=true: needs pretrained weights, and backbone.weights is none.")
    terms = [f"val/loss/{term}" for term in config.loss.get("terms", {})]
    check_choice("recipe.monitor", recipe.monitor, (*MONITORS, *terms))
    check_whole("seed", config.seed, least=0)
    check_whole("jobs", config.jobs, least=1)
    if config.overwrite and config.resume not in (None, "auto"):
        raise InputError(
            "overwrite=true and resume contradict: one deletes the checkpoint that the other goes on from."
        )
    _common(config)
    if config.keep_logits and (needy := need_network(config.variants)):
        raise InputError(
            f"keep_logits: variants {', '.join(needy)} look more than once, so they need the network itself."
        )


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
        check_choice("protocol", config.protocol, PROTOCOLS)
    for word in HydraConfig.get().overrides.task:
        if re.match(r"[+~]*recipe\b", word):
            raise InputError(f"{word}: the recipe belongs to the training; the protocol of scoring is protocol=.")


def check_tune(config: DictConfig) -> None:
    """Raise InputError for a search that cannot be run."""
    _source(config)
    check_choice("split", config.split, ("train", "val"))
    if config.trainer.devices != 1 or config.trainer.nodes != 1:
        raise InputError("trainer.devices: the search runs in one process; leave it out.")
    check_choice("guidance", config.guidance, GUIDANCES)
    for key in ("images", "trials", "per_lattice"):
        check_whole(key, config[key], least=1)
    check_whole("seed", config.seed, least=0)
    if not config.space:
        raise InputError("space is empty: nothing would be searched.")
    for key, bounds in config.space.items():
        check_choice("space", key, [name for name in presets.PARAMETERS if name != "label_floor"])
        check_keys(f"space.{key}", bounds, ("low", "high", "log"))
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
            check_choice("fusion", rule, tuple(RULES))
            check_fusion_options(f"fusion.{rule}", str(rule), dict(options or {}))
    if not config.fusion:
        raise InputError("fusion is empty: nothing would be scored; `alone: {}` is the CRF without fusion.")
    _machine(config)
    _crf(config)
    _limits(config)


def check_report(config: DictConfig) -> None:
    """Raise InputError for a report that cannot be made."""
    check_whole("resamples", config.resamples, least=100)
    if not config.options:
        raise InputError("nothing to report on: give table=NAME, the options of a sweep, or runs=FOLDER,FOLDER,....")


def check_data(config: DictConfig) -> None:
    """Raise InputError for a data set that cannot be looked at."""
    _limits(config)


def _machine(config: DictConfig) -> None:
    trainer = config.trainer
    check_choice("trainer.accelerator", trainer.accelerator, ACCELERATORS)
    check_choice("trainer.precision", trainer.precision, PRECISIONS)
    limit = str(trainer.max_time)
    if trainer.max_time is not None and not (re.fullmatch(r"\d\d:\d\d:\d\d:\d\d", limit) and limit.strip("0:")):
        raise InputError(f"trainer.max_time={limit}: write it as DD:HH:MM:SS, above 0, such as 00:01:30:00.")
    if trainer.workers is not None:
        check_whole("trainer.workers", trainer.workers, least=0)
    if trainer.devices != "auto":
        check_whole("trainer.devices", trainer.devices, least=1, why="or auto")
    check_whole("trainer.nodes", trainer.nodes, least=1)
    check_launcher(trainer)
    for key in ("compile", "profile"):
        check_flag(f"trainer.{key}", trainer[key])
    if trainer.channels_last is not None:
        check_flag("trainer.channels_last", trainer.channels_last)
    if trainer.cache != "auto":
        check_number("trainer.cache (GB, or auto)", trainer.cache, 0)


def _crf(config: DictConfig) -> None:
    check_choice("crf.engine", config.crf.engine, ENGINES)
    if config.crf.engine == "pydensecrf":
        require()
    presets.parameters(config.crf)


def _common(config: DictConfig) -> None:
    _machine(config)
    check_whole("panels", config.panels, least=0)
    _crf(config)
    _limits(config)
    check_variants(config.variants)


def _limits(config: DictConfig) -> None:
    for key in ("train_limit", "val_limit"):
        if config.data[key] is not None:
            check_whole(f"data.{key}", config.data[key], least=1)
