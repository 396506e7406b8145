"""Checks of a composed config, before anything heavy is imported: one function per command. No torch."""

import re
import shlex
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict

from src.core.errors import InputError
from src.core.names import Table, load_plugins, missing_plugins
from src.core.values import (
    check_choice,
    check_config,
    check_folder_name,
    check_mapping,
    check_whole,
    choice,
    parts,
    shown,
)
from src.crf.reference import require
from src.data.config import check_data, classes_of
from src.data.files.lists import read_ids
from src.data.sources.table import SOURCES, source_of
from src.models.tables import BACKBONES, HEADS, LOSSES
from src.runs.checks.network import check_parts, check_weights, need
from src.runs.checks.recipe import check_loss, check_recipe
from src.runs.checks.records import read_config
from src.runs.checks.schema import CHECK, EVALUATE, EXPORT, PAGE, PLAN, PREDICT, REPORT, TRAIN, TUNE, worst_count
from src.runs.checks.source import check_format, check_source
from src.runs.checks.trainer import check_trainer
from src.runs.checks.variants import check_kept, check_variants
from src.scoring import presets

ENGINES = ("auto", "numba", "torch", "pydensecrf")
MONITORS = ("val/miou", "val/pixel_accuracy", "val/loss")


def prepare(config: DictConfig) -> None:
    """Complete a composed config: write out presets and products of variants, import plugins and note their content."""
    with open_dict(config):
        if "variants" in config:
            config.variants = presets.expand(config.variants)
        if "crf" in config:
            check_mapping("crf", config.crf)
            config.crf = {**presets.OPTIONAL, **config.crf}
        config.plugins = load_plugins(config.get("plugins"))
    OmegaConf.resolve(config)


def check_train(config: DictConfig) -> None:
    """Raise InputError if the config cannot be trained."""
    check_config(config, TRAIN)
    recipe = config.recipe
    check_network(config)
    check_data_set(config)
    check_training(config)
    check_weights(config.backbone)
    if recipe.gradient_clip and config.trainer.precision == "16-mixed" and recipe.optimizer.get("fused"):
        raise InputError("recipe.gradient_clip: with trainer.precision=16-mixed it needs recipe.optimizer.fused=false.")
    if recipe.epochs == 0 and config.resume not in (None, "auto"):
        raise InputError(
            f"recipe.epochs=0: trains nothing, so resume={config.resume} would not be used; to score a checkpoint: "
            "python -m src.evaluate checkpoint=PATH."
        )
    if config.overwrite and config.resume not in (None, "auto"):
        raise InputError(
            "overwrite=true and resume contradict each other: one deletes the checkpoint that the other needs."
        )
    _common(config)
    names = [str(config[group].name) for group in ("data", "backbone", "head", "loss", "recipe")]
    if config.name is None and len("-".join(names).encode()) > 200:  # a seed and a hash follow; a name has 255 bytes
        raise InputError("the names of the choices are too long together for a run folder: give it a short name=NAME.")
    if config.keep_logits:
        check_kept(config.variants)


def check_evaluate(config: DictConfig) -> None:
    """Raise InputError if the config cannot be scored."""
    check_config(config, EVALUATE)
    check_source(config)
    if config.keep_logits is not None and config.run is None and config.checkpoint is None:
        raise InputError("keep_logits: works with run=FOLDER or checkpoint=PATH, whose network gives logits.")
    if isinstance(config.panels, str) and worst_count(config.panels) is None:
        if not Path(config.panels).is_file():
            raise InputError(
                f"panels={shown(config.panels)}: there is no such file; give a number, worst:N, or a file of ids."
            )
        read_ids(Path(config.panels))
    _check_named_data(config)
    _common(config)


def check_tune(config: DictConfig) -> None:
    """Raise InputError for a search that cannot be run."""
    check_config(config, TUNE)
    check_source(config)
    _check_one_process(config, "the search")
    check_trainer(config.trainer)
    check_crf(config.crf)
    _check_named_data(config)


def check_predict(config: DictConfig) -> None:
    """Raise InputError for a prediction that cannot be made."""
    check_config(config, PREDICT)
    check_source(config)
    if config.images is None:
        raise InputError("give images=: a photo, a folder, a pattern in quotes, a list of paths, or a video.")
    check_trainer(config.trainer)
    check_crf(config.crf)
    check_variants(config.variants, 0)  # whether the run's classes have a background, its checkpoint says


def check_export(config: DictConfig) -> None:
    """Raise InputError if the network cannot be exported as asked."""
    check_config(config, EXPORT)
    check_source(config)
    check_format(config)
    check_trainer(config.trainer)
    _check_named_data(config)


def check_page(config: DictConfig) -> None:
    """Raise InputError for a page that cannot be shown."""
    check_config(config, PAGE)
    check_source(config)
    if config.beside is not None and not Path(config.beside).is_dir():
        raise InputError(f"beside={config.beside}: is no run folder.")
    need("src.page", "gradio")
    _check_one_process(config, "the page")
    check_trainer(config.trainer)
    check_crf(config.crf)
    _check_named_data(config)


def _check_one_process(config: DictConfig, what: str) -> None:
    if config.trainer.devices != 1 or config.trainer.nodes != 1:
        raise InputError(f"trainer.devices: {what} runs in one process; leave it out.")


def check_report(config: DictConfig) -> None:
    """Raise InputError if the report cannot be made."""
    check_config(config, REPORT)
    if not config.options:
        raise InputError(
            "nothing to report on: give table=NAME, the options of a sweep, runs=FOLDER,FOLDER,..., "
            "or counts=FILE,FILE,...."
        )


def check_plan(config: DictConfig) -> None:
    """Raise InputError if there is nothing to plan."""
    check_config(config, PLAN)
    if not config.options:
        raise InputError("nothing to plan: give table=NAME, or the options of a training or a sweep.")


def check_network(config: DictConfig) -> None:
    """Raise InputError for an unknown backbone or head, or a wrong output stride."""
    check_mapping("backbone", config.backbone)
    check_mapping("head", config.head)
    _check_name(BACKBONES, config.backbone.get("kind"), config)
    _check_name(HEADS, config.head.get("name"), config)
    check_parts(config)


def check_training(config: DictConfig) -> None:
    """Raise InputError for a wrong loss or recipe."""
    recipe = config.recipe
    check_recipe(recipe)
    check_folder_name("recipe.name", recipe.name)
    for name in check_loss(config.loss, number=len(classes_of(config.data))):
        _check_name(LOSSES, name, config)
    terms = config.loss.get("terms") or {}
    if recipe.freeze_batchnorm and config.backbone.weights in (None, "none"):
        raise InputError("recipe.freeze_batchnorm=true: needs pretrained weights, but backbone.weights is none.")
    check_choice("recipe.monitor", recipe.monitor, (*MONITORS, *(f"val/loss/{term}" for term in terms)))


def check_data_set(config: DictConfig) -> None:
    """Raise InputError for an unknown data source, wrong options of it, or a wrong description of the data."""
    check_mapping("data", config.data)
    _check_name(SOURCES, config.data.get("source"), config)
    check_data(config.data)
    source_of(config.data)


def _check_named_data(config: DictConfig) -> None:
    """The same, unless a run's own data is used: then `data.KEY` changes that, and is checked with it."""
    own = any(config.get(key) is not None for key in ("run", "checkpoint", "onnx"))
    if not own or any(word.startswith("data=") for word in HydraConfig.get().overrides.task):
        check_data_set(config)


def check_inspection(config: DictConfig) -> None:
    """Raise InputError if the data set cannot be looked over."""
    check_config(config, CHECK)
    given = [key for key in ("images", "masks") if config[key] is not None]
    if len(given) == 1 or (config.write is not None and not given):
        raise InputError("give images=FOLDER and masks=FOLDER, both; write=FILE.yaml is where the config goes.")
    for word in HydraConfig.get().overrides.task if given else ():
        if re.match(r"[+~]*data\b", word):
            raise InputError(
                f"{word}: belongs to a data set that has a config; with images= and masks= one is proposed."
            )
    check_data_set(config)


def check_crf(crf: DictConfig) -> None:
    """Raise InputError for wrong CRF parameters or an unknown engine."""
    check_config(crf, parts({"name": check_folder_name, "engine": choice(*ENGINES)}, more=True), "crf")
    if crf.engine == "pydensecrf":
        with presets.crf_told():
            require()
    if (batch := crf.get("batch")) is not None:
        check_whole("crf.batch", batch, least=1, most=1024, why="or null")
    presets.parameters(crf)


def _check_name(table: Table[Any], value: Any, config: DictConfig) -> None:
    """Raise InputError for a name that is not in the table; the message names the plugin that the run had it from."""
    if isinstance(value, str) and value in table.names:
        return
    wanted = missing_plugins(config.plugins) or _plugins_before(config)
    if wanted:
        files = " ".join(map(shlex.quote, wanted))
        way_out = f"the name came from a plugin that is not loaded: add plugins={files} to the command if you trust it"
    else:
        way_out = f"not one of {', '.join(table.names)}; to add code of your own, use plugins=FILE.py"
    raise InputError(f"{table.key}={shown(value)}: {way_out}.")


def _plugins_before(config: DictConfig) -> list[str]:
    """The plugins that the run with this name was trained with."""
    before = Path(str(config.get("runs"))) / str(config.get("name")) / "config.yaml"
    return missing_plugins(read_config(before).get("plugins")) if before.is_file() else []


def _common(config: DictConfig) -> None:
    check_trainer(config.trainer)
    check_crf(config.crf)
    check_variants(config.variants, classes_of(config.data).background)
