"""What a call of `src.predict` asks: which variant of which network, and where its answers belong."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from src.core.errors import InputError
from src.core.values import as_dict, shown
from src.evaluation.source import Source
from src.runs import hub

DEFAULT = "none"  # the network alone
PREDICTIONS = "predictions"  # folder inside a run's folder


def only_variant(settled: DictConfig, wanted: str | None) -> str:
    """Leave one variant in a config, and return its name.

    Args:
        settled: of a run; changed in place.
        wanted: the variant, see `variant_of`.
    """
    name = variant_of([str(name) for name in settled.variants], wanted)
    settled.variants = OmegaConf.create({name: settled.variants[name]})
    return name


def variant_of(names: Sequence[str], wanted: str | None) -> str:
    """The variant that is wanted, or the one that is taken if none is named; raises InputError for an unknown one."""
    name = wanted or (DEFAULT if DEFAULT in names else names[0])
    if name not in names:
        raise InputError(f"variant={shown(name)}: the run has {', '.join(names)}; variants=NAME gives others.")
    return name


@dataclass(frozen=True)
class Question:
    """A network and a variant, and how images become its input.

    Attributes:
        variant: its name.
        source: the path that the user gave.
        asked: plain values that change when labels may change.
    """

    variant: str
    source: str
    asked: dict[str, Any]

    def folder(self, config: DictConfig) -> Path:
        """Where the answers go: `output`, else a folder inside the run's folder, else one under `runs`."""
        if config.output is not None:
            return Path(config.output)
        name = self._name(config.images)
        if config.run is not None and not hub.is_address(config.run):  # what was fetched lies in a cache
            return Path(config.run) / PREDICTIONS / name
        return Path(config.runs) / f"predict-{Path(self.source).stem}-{name}"

    def _name(self, images: str | Sequence[str]) -> str:
        """The images', the variant, and a hash of the whole question and of where the images are."""
        words = [images] if isinstance(images, str) else [*images]
        places = [str(Path(word).expanduser().resolve()) for word in words]
        content = json.dumps([self.asked, places], sort_keys=True)
        stem = "".join(c if c.isalnum() or c in "-_" else "_" for c in Path(places[0]).stem)[:40] or "images"
        return f"{stem}-{self.variant[:40]}-{hashlib.sha256(content.encode()).hexdigest()[:8]}"


def answers_in(folder: Path, config: DictConfig) -> Path:
    """The folder whose files are no photos: that of the answers, with the earlier ones of the same run."""
    return folder if config.run is None or folder.parent != Path(config.run) / PREDICTIONS else folder.parent


def question_of(config: DictConfig, settled: DictConfig, source: Source, variant: str) -> Question:
    """The question of a call.

    Args:
        config: of the command.
        settled: of the run, with this variant alone.
        source: the network.
        variant: its name.
    """
    crf = {key: value for key, value in as_dict(settled.crf).items() if key not in ("batch", "engine")}
    asked = {
        "network": source.digest(),
        "variant": {variant: as_dict(settled.variants)[variant]},
        "crf": crf,
        "protocol": settled.recipe.protocol,
        "window": config.window,
        "white": white_of(config, settled),
    }
    return Question(variant, str(source.path), asked)


def white_of(config: DictConfig, settled: DictConfig) -> int | None:
    """The value of white in images of more than 8 bits: the command's, else that of the run's data."""
    value = settled.data.white if config.white is None else config.white
    return None if value is None else int(value)
