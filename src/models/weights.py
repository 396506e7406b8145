"""Pretrained weights: where they come from, and which part of a network they fill."""

from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchvision.models import get_model_weights
from torchvision.models.segmentation.deeplabv3 import DeepLabHead

from src.core.errors import InputError
from src.core.files.alone import alone
from src.models.checkpoint.fitting import check_state
from src.models.deeplab import DeepLab
from src.models.sources.files import read_state
from src.models.sources.run import checkpoint_of, start_from

State = dict[str, Tensor]
LEFT_OUT = {True: ("aux_classifier",), False: ("fc", "classifier")}  # by `Backbone.has_trained_head`


@dataclass(frozen=True)
class Loaded:
    """The result of `load`.

    Attributes:
        pretrained: names of the network's parameters that the weights have filled.
        summary: one line for the log.
    """

    pretrained: frozenset[str]
    summary: str


def load(network: DeepLab, weights: str | None, classes: Sequence[str]) -> Loaded:
    """Fills a network with pretrained weights, in place.

    The weights of a classification network fill the backbone. Those of a DeepLabV3 fill the backbone and the head. If
    the network has another head, this head starts so that the network predicts the same as the DeepLabV3. The last
    layer is filled only if the classes are those that the DeepLabV3 knows, in its order. A run of this project fills
    all that fits. Mean and standard deviation of the backbone become those of the weights.

    Args:
        network: as built, on the CPU.
        weights: a name from torchvision's enum of the network (`IMAGENET1K_V2`; downloaded, hash checked), the path
            of a state dict in torchvision's layout, a run folder or its checkpoint, or None or "none"; for a backbone
            of another library see its `find`.
        classes: names of the network's classes.

    Raises:
        InputError: the name or file is unknown, the download fails, the file holds something else, or keys do not fit.
    """
    if weights is None or weights.lower() == "none":
        return Loaded(frozenset(), "no pretrained weights; new: backbone, classifier")
    if (run := checkpoint_of(weights)) is not None:
        pretrained, summary = start_from(run, network, classes)
        return Loaded(pretrained, summary)
    head: State = {}
    if (found := network.backbone.find(weights)) is not None:
        body, source, left_out = found.state, found.source, found.left_out
        network.backbone.mean, network.backbone.std = found.mean, found.std
    else:
        state, source = _read(weights, network.backbone.model)
        body, head, left_out = _split(state, network, source, classes)
    filled = {f"backbone.{key}": value for key, value in body.items()}
    if head:
        filled |= {f"classifier.{key}": value for key, value in network.adopt_head(head).items()}
    network.load_state_dict(filled, strict=False)  # the keys are checked; the summary names what stays new
    parameters = [name for name, _ in network.named_parameters()]
    new = _modules([name for name in parameters if name not in filled], whole=not head)
    summary = f"{f'backbone and {network.adopts}' if head else 'backbone'} from {source}"
    summary += "".join(
        f"; {label}: {', '.join(names)}" for label, names in (("left out", left_out), ("new", new)) if names
    )
    return Loaded(frozenset(parameters) & filled.keys(), summary)


def _modules(parameters: list[str], *, whole: bool) -> list[str]:
    """`classifier.last.weight` to `classifier.last`, or to `classifier`; each once, in order."""
    return list(dict.fromkeys(".".join(name.split(".")[: 1 if whole else 2]) for name in parameters))


def _split(state: State, network: DeepLab, source: str, classes: Sequence[str]) -> tuple[State, State, list[str]]:
    """State of the backbone, state of the DeepLabV3 head (may be empty), and modules of the file that are not used."""
    backbone = network.backbone
    trained_head = backbone.has_trained_head
    kept = {key: value for key, value in state.items() if key.split(".")[0] not in LEFT_OUT[trained_head]}
    left_out = sorted({key.split(".")[0] for key in state.keys() - kept.keys()})
    prefix = "backbone." if trained_head else "features." if any(key.startswith("features.") for key in kept) else ""
    expected = {f"{prefix}{key}": value for key, value in backbone.state_dict().items()}
    if trained_head:
        last = kept.get("classifier.4.bias", torch.empty(network.num_classes))
        with torch.device("meta"):
            fitting = DeepLabHead(backbone.out_channels, len(last), backbone.atrous_rates)
        expected |= {f"classifier.{key}": value for key, value in fitting.state_dict().items()}
    check_state(kept, expected, f"{source} does not fit {backbone.model}")
    body = {key.removeprefix(prefix): kept[key] for key in kept if key.startswith(prefix)}
    head = {
        key.removeprefix("classifier."): kept[key] for key in kept if trained_head and key.startswith("classifier.")
    }
    if head and not (len(head["4.bias"]) == network.num_classes and _knows(backbone.model, classes)):
        del head["4.weight"], head["4.bias"]
        left_out.append(f"classifier.4 (its {len(last)} classes are not the {network.num_classes} of the data)")
    return body, head, left_out


def _knows(model: str, classes: Sequence[str]) -> bool:
    """Whether these are the classes, in this order, that torchvision's weights of a segmentation network know."""
    known = [entry.meta["categories"] for entry in get_model_weights(model)]
    return any([name.strip("_") for name in names] == [*classes] for names in known)


def _read(weights: str, model: str) -> tuple[State, str]:
    """The state dict, and its name for messages."""
    known = get_model_weights(model)
    name = weights.removeprefix(f"{known.__name__}.")
    if name in known.__members__:
        entry = known[name]
        return _fetch(entry), f"{entry!r} ({Path(entry.url).name})"
    path = Path(weights).expanduser()
    if not path.is_file():
        names = ", ".join(entry.name for entry in known)
        raise InputError(f"backbone.weights={weights}: no such file, and {model} offers {names} or none")
    return read_state(path), str(path)


def _fetch(entry: Any) -> State:
    """The weights of a member of a torchvision enum, from torch's cache or the network."""
    path = Path(torch.hub.get_dir()) / "checkpoints" / Path(entry.url).name
    if path.is_file():
        return read_state(path)
    try:
        with alone(path.parent):
            state: State = entry.get_state_dict(progress=True, check_hash=True, map_location="cpu", weights_only=True)
    except (OSError, HTTPException, RuntimeError) as error:  # offline, cut off, wrong hash
        raise InputError(
            f"{entry!r} could not be fetched ({error}): put {entry.url} at {path}, "
            "or set backbone.weights=PATH, or backbone.weights=none"
        ) from error
    return state
