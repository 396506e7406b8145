"""Sources of predictions: a run's checkpoint with the run's own config, or files with logits of any network."""

import copy
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf

from src.core.errors import InputError
from src.core.files.alone import only_reading
from src.data.classes import Classes, class_mapping, differing_classes
from src.data.config import classes_of
from src.data.datamodule import SegmentationDataModule
from src.data.files.lists import read_ids
from src.evaluation import build
from src.evaluation.machine.hardware import Hardware
from src.models.checkpoint.content import load_checkpoint
from src.models.checkpoint.fitting import check_weights
from src.models.checkpoint.published import WEIGHTS
from src.models.sources.onnx import description_of, read_description
from src.runs import hub
from src.runs.checks.commands import check_data_set
from src.runs.checks.stored import checked_config, naming
from src.runs.config_hash import evaluation_name
from src.runs.folder import RunFolder


@dataclass(frozen=True)
class Source:
    """Where predictions come from.

    Attributes:
        path: the path that the user gave, or the folder that an address led to.
        checkpoint: path of a network's checkpoint; None for saved logits and for an ONNX file.
        stored: the config the network was trained with; None for saved logits, and for an ONNX file that has none.
        fingerprint: of the data that the network was trained and validated with; empty where it is unknown.
        onnx: path of an ONNX file, or None.
    """

    path: Path
    checkpoint: Path | None
    stored: DictConfig | None
    fingerprint: Mapping[str, str] = field(default_factory=dict)
    onnx: Path | None = None

    @property
    def classes(self) -> Classes | None:
        """Those that the network knows; None for saved logits and ONNX files without names."""
        return None if self.stored is None else classes_of(self.stored.data)

    @property
    def name(self) -> str:
        """For the screen."""
        weights = self.checkpoint or self.onnx
        return f"logits in {self.path}" if weights is None else str(weights)

    def digest(self) -> str:
        """Six hex digits that tell sources of equal names apart: of the weights' content, or the logits' path."""
        weights = self.checkpoint or self.onnx
        text = str(self.path.resolve()).encode() if weights is None else weights.read_bytes()
        return hashlib.sha256(text).hexdigest()[:6]


def find(config: DictConfig) -> Source:
    """The checkpoint, ONNX file or logits that the config names; the network's config is read with the weights.

    Raises:
        InputError: the checkpoint is none of this project, its config cannot be used, or its weights do not fit it; an
            address leads nowhere.
    """
    if config.get("logits") is not None:
        return Source(Path(config.logits), None, None)
    if config.get("onnx") is not None:
        return _exported(Path(config.onnx))
    given = Path(config.checkpoint) if config.run is None else hub.fetched(config.run)
    path = _weights_in(given) if config.run is not None else given
    content = load_checkpoint(path)
    stored = checked_config(content["seglab"]["config"], path, training=False)
    if [*content["seglab"]["classes"]["names"]] != [*classes_of(stored.data).names]:
        raise InputError(f"{path}: was edited: its classes are not those of the data set in its config.")
    with naming(path), torch.device("meta"):  # shapes only
        network = build.network(stored)
        build.variants(stored)
    expected = {f"network.{key}": value for key, value in network.state_dict().items()}
    check_weights(content["state_dict"], expected, path)
    fingerprint = content["seglab"].get("fingerprint") or {}
    return Source(given, path, stored, fingerprint)


def _weights_in(run: Path) -> Path:
    """The weights in a run folder, or in a folder that `src.export` wrote."""
    shared = run / WEIGHTS
    return shared if shared.is_file() and not RunFolder(run).best.exists() else RunFolder(run).best


def _exported(path: Path) -> Source:
    """An ONNX file, with the config in the YAML file beside it, if there is one."""
    described = read_description(path)
    if described is None:
        return Source(path, None, None, onnx=path)
    stored = checked_config(described["seglab"]["config"], description_of(path), training=False)
    return Source(path, None, stored, described["seglab"].get("fingerprint") or {}, path)


def prepare(config: DictConfig, typed: list[str]) -> tuple[Source, DictConfig, Hardware, SegmentationDataModule]:
    """The source of predictions, the config for it, the machine, and the data, which is found or made."""
    source = find(config)
    settled = settle(config, source, typed)
    check_data_set(settled)
    _check_classes(config, settled, source)
    machine = build.hardware(settled)
    build.compile_ahead(settled, machine)
    data = build.datamodule(settled, machine)
    if source.stored is not None and not any(word.startswith(("data=", "data.root=")) for word in typed):
        data.prepare = only_reading(data.prepare)
    data.prepare_data()
    return source, settled, machine, data


def settle(config: DictConfig, source: Source, typed: list[str]) -> DictConfig:
    """The run's own config, changed by what the command line says about data, CRF, variants, protocol and machine.

    Args:
        config: composed from `conf/evaluate.yaml`.
        source: gives the stored config.
        typed: overrides of the command line; `data=NAME` replaces the run's data config, `data.key=value` one key.
    """
    if source.stored is None:
        settled = copy.deepcopy(config)
        OmegaConf.update(settled, "seed", 0, force_add=True)  # nothing is random here
    else:
        settled = copy.deepcopy(source.stored)
        settled.jobs = 1  # whatever ran beside the training
        settled.plugins = OmegaConf.merge(source.stored.get("plugins") or {}, config.plugins)
        for key in ("trainer", "logger", "panels"):
            if key in config:
                settled[key] = config[key]
        for group in ("data", "crf", "variants"):
            if any(word.startswith(f"{group}=") for word in typed):
                settled[group] = config[group]
            for word in typed:
                key = word.lstrip("+").partition("=")[0]
                if key.startswith(f"{group}."):
                    OmegaConf.update(settled, key, OmegaConf.select(config, key), force_add=True)
                elif key.startswith(f"~{group}."):
                    settled[group].pop(key.removeprefix(f"~{group}."), None)
    if config.protocol is not None:
        settled.recipe.protocol = config.protocol
    if config.get("map_classes") is not None:
        OmegaConf.update(settled, "map_classes", config.map_classes, force_add=True)
    return settled


def _check_classes(config: DictConfig, settled: DictConfig, source: Source) -> None:
    """Say in time if the classes differ; a search, which has no `map_classes`, needs the run's own."""
    own = source.classes
    if "map_classes" in config:
        mapping_of(settled, source)
    elif own is not None and (differ := differing_classes(own.names, classes_of(settled.data).names)):
        raise InputError(f"{source.name} and {settled.data.name} have different classes ({differ}); use the run's own.")


def mapping_of(settled: DictConfig, source: Source) -> tuple[int | None, ...] | None:
    """For each class of the network its label in the data set; None if both have the same classes.

    Raises:
        InputError: they have different classes, and `map_classes` does not say what becomes of each; or nothing is
            known of the network's classes.
    """
    given, own, other = settled.get("map_classes"), source.classes, classes_of(settled.data)
    if own is None and given is not None:
        raise InputError("map_classes: logits in files have no names of classes; use run=FOLDER or checkpoint=PATH.")
    if own is None or (own.names == other.names and given is None):
        return None
    return class_mapping(own.names, other.names, given, where=f"{source.name} and {settled.data.name}")


def trained_on(settled: DictConfig, source: Source, data: SegmentationDataModule) -> str:
    """A warning if images that will be scored were trained on, as far as a run folder tells; else empty."""
    path = RunFolder(source.path).splits / "train.txt"
    if source.stored is None or not path.is_file():
        return ""
    stored = source.stored.data
    if settled.data.name != stored.name and Path(settled.data.root).resolve() != Path(stored.root).resolve():
        return ""  # ids of other data may be equal by chance
    seen = len({*read_ids(path)} & {*data.ids("val")})
    return f"; WARNING: {seen} of them were trained on, so their scores say nothing" if seen else ""


def output_folder(config: DictConfig, settled: DictConfig, source: Source, data: SegmentationDataModule) -> RunFolder:
    """`output`, else a folder inside the run's folder, else one under `runs`.

    Equal questions about the same images have the same folder.
    """
    if config.output is not None:
        folder = RunFolder(Path(config.output))
        if folder.last.exists() or folder.best.exists():
            raise InputError(
                f"output={folder.path}: holds a training run, and its results would be lost; choose another folder."
            )
        return folder
    name, seen = evaluation_name(settled), data.fingerprint(["val"])["val"]
    if source.fingerprint.get("val", seen) != seen:
        name += f"-{seen[:6]}"
    if config.run is not None and not hub.is_address(config.run):  # what was fetched lies in a cache
        return RunFolder(source.path / "evaluations" / name)
    return RunFolder(Path(config.runs) / f"evaluate-{source.path.stem}-{name}-{source.digest()}")
