"""Checks of a composed config, before anything heavy is imported: one function per command. No torch."""

import re
import shlex
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict

from src.core.compose import read_config
from src.core.errors import InputError, printable
from src.core.names import Table, load_plugins, missing_plugins
from src.core.values import check_choice, check_keys, check_number, check_text, check_whole
from src.crf.model import GUIDANCES
from src.crf.pydensecrf import require
from src.data.sources.table import SOURCES, source_of
from src.models.tables import BACKBONES, HEADS, LOSSES
from src.runs.checks.loss import check_loss
from src.runs.checks.recipe import PROTOCOLS, check_recipe
from src.runs.checks.trainer import check_trainer
from src.runs.checks.variants import check_fusion_options, check_variants, need_network
from src.scoring import presets
from src.scoring.fusion import RULES

ENGINES = ("auto", "numba", "torch", "pydensecrf")
DATA_KEYS = (*("name", "source", "root", "train_list", "val_list", "train_limit", "val_limit", "expected", "prepare"),)
MOST_RESAMPLES = 1_000_000
MONITORS = ("val/miou", "val/pixel_accuracy", "val/loss")


def prepare(config: DictConfig) -> None:
    """Complete a composed config: write out presets and products of variants, import plugins and note their content."""
    with open_dict(config):
        if "variants" in config:
            config.variants = presets.expand(config.variants)
        if "crf" in config:
            config.crf = {**presets.OPTIONAL, **config.crf}
        config.plugins = load_plugins(config.get("plugins"))


def check_train(config: DictConfig) -> None:
    """Raise InputError if the config cannot be trained."""
    recipe = config.recipe
    check_network(config)
    check_training(config)
    if recipe.gradient_clip and config.trainer.precision == "16-mixed" and recipe.optimizer.get("fused"):
        raise InputError("recipe.gradient_clip: with trainer.precision=16-mixed it needs recipe.optimizer.fused=false.")
    check_whole("jobs", config.jobs, least=1)
    if config.overwrite and config.resume not in (None, "auto"):
        raise InputError(
            "overwrite=true and resume contradict each other: one deletes the checkpoint that the other needs."
        )
    _common(config)
    if config.keep_logits and (needy := need_network(config.variants)):
        raise InputError(
            f"keep_logits: variants {', '.join(needy)} look more than once at an image, and need the network itself."
        )


def check_evaluate(config: DictConfig) -> None:
    """Raise InputError if the config cannot be scored."""
    _source(config)
    if config.keep_logits is not None and config.logits is not None:
        raise InputError("keep_logits: the logits are already in files; use it with run=FOLDER or checkpoint=PATH.")
    _common(config)


def _source(config: DictConfig) -> None:
    """Raise InputError unless exactly one source of predictions is given, it exists, and the protocol is valid."""
    given = [key for key in ("run", "checkpoint", "logits") if config[key] is not None]
    if len(given) != 1:
        raise InputError(
            f"give exactly one of run=FOLDER, checkpoint=PATH, logits=FOLDER; given: {', '.join(given) or 'none'}."
        )
    path = Path(config[given[0]])
    if not path.exists():
        raise InputError(f"{given[0]}={path}: does not exist.")
    if given[0] != "checkpoint" and not path.is_dir():
        raise InputError(f"{given[0]}={path}: is a file, but a folder is needed; for a checkpoint use checkpoint=PATH.")
    if config.protocol is not None:
        check_choice("protocol", config.protocol, PROTOCOLS)
    for word in HydraConfig.get().overrides.task:
        if re.match(r"[+~]*recipe\b", word):
            raise InputError(f"{word}: the recipe belongs to the training; for the protocol of scoring use protocol=.")


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
                raise InputError(f"space.{key}.{side}={value}: must be {kind}, 0 or more; with log, above 0.")
        if bounds.low > bounds.high:
            raise InputError(f"space.{key}: low={bounds.low} lies above high={bounds.high}.")
    for rule, options in config.fusion.items():
        if rule != "alone":
            check_choice("fusion", rule, RULES.names)
            check_fusion_options(f"fusion.{rule}", str(rule), dict(options or {}))
    if not config.fusion:
        raise InputError("fusion is empty: nothing would be scored; for the CRF without fusion give `alone: {}`.")
    check_trainer(config.trainer)
    check_crf(config.crf)
    check_data_set(config)


def check_report(config: DictConfig) -> None:
    """Raise InputError if the report cannot be made."""
    check_whole("resamples", config.resamples, least=100)
    if config.resamples > MOST_RESAMPLES:
        raise InputError(f"resamples={config.resamples}: must be at most {MOST_RESAMPLES:,}; 10,000 are enough.")
    for key in ("title", "question", "baseline", "output", "insert"):
        if config[key] is not None and not isinstance(config[key], str):
            if not isinstance(config[key], int | float):
                raise InputError(f"{key}={config[key]}: must be a text.")
            config[key] = str(config[key])
    if config.title is not None:
        check_folder_name("title", config.title)
    if not config.options:
        raise InputError("nothing to report on: give table=NAME, the options of a sweep, or runs=FOLDER,FOLDER,....")


def check_network(config: DictConfig) -> None:
    """Raise InputError for an unknown backbone or head, or a wrong output stride."""
    check_choice("head.output_stride", config.head.output_stride, (8, 16))
    _check_name(BACKBONES, config.backbone.get("kind"), config)
    _check_name(HEADS, config.head.name, config)
    check_folder_name("backbone.name", config.backbone.name)


def check_training(config: DictConfig) -> None:
    """Raise InputError for a wrong loss or recipe."""
    recipe = config.recipe
    check_recipe(recipe)
    check_folder_name("recipe.name", recipe.name)
    for name in check_loss(config.loss):
        _check_name(LOSSES, name, config)
    terms = config.loss.get("terms") or {}
    if recipe.freeze_batchnorm and config.backbone.weights in (None, "none"):
        raise InputError("recipe.freeze_batchnorm=true: needs pretrained weights, but backbone.weights is none.")
    check_choice("recipe.monitor", recipe.monitor, (*MONITORS, *(f"val/loss/{term}" for term in terms)))
    check_whole("seed", config.seed, least=0)


def check_data_set(config: DictConfig) -> None:
    """Raise InputError for an unknown data source, wrong options of it, or wrong lists and limits."""
    data = config.data
    check_keys("data", data, DATA_KEYS)
    _check_name(SOURCES, data.get("source"), config)
    check_folder_name("data.name", data.name)
    for key in ("root", "train_list", "val_list"):
        check_text(f"data.{key}", data.get(key))
    for key in ("train_limit", "val_limit"):
        if data[key] is not None:
            check_whole(f"data.{key}", data[key], least=1)
    for key in ("expected", "prepare"):
        if not OmegaConf.is_dict(data.get(key)) and (key == "prepare" or data.get(key) is not None):
            raise InputError(f"data.{key}={data.get(key)}: must have keys and values, as in conf/data/voc2012.yaml.")
    for split, count in (data.get("expected") or {}).items():
        check_choice("data.expected", split, ("train", "val"))
        if count is not None:
            check_whole(f"data.expected.{split}", count, least=0)
    source_of(data)


def check_crf(crf: DictConfig) -> None:
    """Raise InputError for wrong CRF parameters or an unknown engine."""
    check_choice("crf.engine", crf.engine, ENGINES)
    if crf.engine == "pydensecrf":
        require()
    if (batch := crf.get("batch")) is not None:
        check_whole("crf.batch", batch, least=1, why="or null")
        check_number("crf.batch", batch, 1, 1024)
    check_folder_name("crf.name", crf.name)
    presets.parameters(crf)


def check_folder_name(key: str, value: Any) -> None:
    """Raise InputError for a name that cannot be part of a folder name."""
    if not isinstance(value, str) or not re.fullmatch(r"\w[\w.+-]{0,99}", value):
        shown = printable(str(value)[:120])
        raise InputError(f"{key}={shown}: must be at most 100 letters, digits and . + - _, no space, no slash.")


def _check_name(table: Table[Any], value: Any, config: DictConfig) -> None:
    """Raise InputError for a name that is not in the table; the message names the plugin that the run had it from."""
    if value in table.names:
        return
    wanted = missing_plugins(config.plugins) or _plugins_before(config)
    if wanted:
        files = " ".join(map(shlex.quote, wanted))
        way_out = f"the name came from a plugin that is not loaded: add plugins={files} to the command if you trust it"
    else:
        way_out = f"not one of {', '.join(table.names)}; to add code of your own, use plugins=FILE.py"
    raise InputError(f"{table.key}={value}: {way_out}.")


def _plugins_before(config: DictConfig) -> list[str]:
    """The plugins that the run with this name was trained with."""
    before = Path(str(config.get("runs"))) / str(config.get("name")) / "config.yaml"
    return missing_plugins(read_config(before).get("plugins")) if before.is_file() else []


def _common(config: DictConfig) -> None:
    check_trainer(config.trainer)
    check_whole("panels", config.panels, least=0)
    check_crf(config.crf)
    check_data_set(config)
    check_variants(config.variants)
