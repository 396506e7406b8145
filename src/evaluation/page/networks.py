"""The networks on the page: one, or two beside each other."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from omegaconf import DictConfig, OmegaConf

from src.crf.model import CRFParameters
from src.evaluation import build, source
from src.evaluation.machine.hardware import Hardware
from src.evaluation.prediction.predictor import Predictor, opened
from src.scoring import presets

_VARIANTS = {"network": {}, "crf": {"guidance": "raw"}}  # so that the predictor looks once, and has a CRF engine


@dataclass(frozen=True)
class Network:
    """A loaded run.

    Attributes:
        name: the path that the user gave.
        predictor: labels images; its network is on the machine's device.
        settled: its config.
        machine: what it runs on.
    """

    name: str
    predictor: Predictor
    settled: DictConfig
    machine: Hardware

    @property
    def crf(self) -> CRFParameters:
        """The parameters of the run's own CRF, or of the one that the command line names."""
        return presets.parameters(self.settled.crf)


def asked(config: DictConfig) -> list[DictConfig]:
    """A config for each network that the page's config names."""
    if config.beside is None:
        return [config]
    second = copy.deepcopy(config)
    second.run, second.checkpoint = config.beside, None
    return [config, second]


@contextmanager
def loaded(config: DictConfig, typed: Sequence[str]) -> Iterator[Network]:
    """The network of a config, until the block ends.

    Raises:
        InputError: it cannot be loaded.
    """
    found = source.find(config)
    settled = source.settle(config, found, [*typed])
    settled.variants = OmegaConf.create(_VARIANTS)
    machine = build.hardware(settled)
    build.compile_ahead(settled, machine)
    with opened(settled, found, machine) as predictor:
        predictor.task.to(machine.device)
        yield Network(str(found.path), predictor, settled, machine)
