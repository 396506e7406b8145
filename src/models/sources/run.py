"""Weights of a run of this project: a new training starts from its network."""

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from src.core.errors import InputError
from src.data.classes import differing_classes
from src.models.checkpoint.content import load_checkpoint, normalization
from src.models.checkpoint.fitting import check_weights, misfits
from src.models.checkpoint.published import CONFIG, WEIGHTS, is_published
from src.models.deeplab import DeepLab


def checkpoint_of(weights: str) -> Path | None:
    """The weights of a network of this project that the text names; None if it names none.

    They are a run folder's `best.ckpt`, the `model.safetensors` of a folder that `src.export` wrote, or a `.ckpt` file.
    """
    path = Path(weights).expanduser()
    if path.is_dir():
        found = [path / name for name in ("best.ckpt", WEIGHTS) if (path / name).is_file()]
        if not found:
            raise InputError(
                f"backbone.weights={weights}: is a folder without best.ckpt or {WEIGHTS}: not that of a run"
            )
        return found[0]
    is_shared = is_published(path) and path.with_name(CONFIG).is_file()
    return path if (path.suffix == ".ckpt" or is_shared) and path.is_file() else None


def start_from(path: Path, network: DeepLab, classes: Sequence[str]) -> tuple[frozenset[str], str]:
    """Fill a network with what fits it of a run's network, in place.

    The backbone must fit as a whole. The head is kept if it is the same one; its last layer, only if the classes
    are the same, too.

    Args:
        path: the run's checkpoint.
        network: as built, on the CPU.
        classes: names of its classes.

    Returns:
        Names of the parameters that are filled, and one line on what was kept, is new and was dropped.

    Raises:
        InputError: it is no checkpoint of this project, or its backbone is another one.
    """
    content = load_checkpoint(path)
    found = {
        key.removeprefix("network."): value
        for key, value in content["state_dict"].items()
        if key.startswith("network.")
    }
    expected = network.state_dict()
    body, wanted = _part(found, "backbone"), _part(expected, "backbone")
    if problems := misfits(body, wanted):
        stored = content["seglab"]["config"].get("backbone")
        name = stored.get("model") if isinstance(stored, dict) else None
        raise InputError(
            f"backbone.weights={path}: its backbone{f' {name}' if name else ''} is not {network.backbone.model}; wrong "
            f"keys: {problems}; choose the backbone it was trained with"
        )
    parameters = [name for name, _ in network.named_parameters()]
    last = parameters[-1].rpartition(".")[0]
    own = content["seglab"]["classes"]["names"]
    head, classifier = _part(found, "classifier", but=last), _part(expected, "classifier", but=last)
    kept, new, dropped = ["backbone"], [], []
    filled = dict(body)
    if misfits(head, classifier):
        new, dropped = ["classifier"], ["classifier (of another head)"]
    else:
        filled |= head
        kept += ["classifier"] if classifier else []
        final, fitting = _part(found, last), _part(expected, last)
        if not (differ := differing_classes(own, classes)) and not misfits(final, fitting):
            filled |= final
        else:
            new, dropped = [last], [f"{last} (other classes: {differ})"]
    check_weights(filled, {key: expected[key] for key in filled}, path)
    network.load_state_dict(filled, strict=False)  # what is not filled is said
    network.backbone.mean, network.backbone.std = normalization(content["seglab"])
    summary = f"{' and '.join(kept)} from {path}"
    summary += "".join(
        f"; {label}: {', '.join(names)}" for label, names in (("new", new), ("dropped", dropped)) if names
    )
    return frozenset(parameters) & filled.keys(), summary


def _part(state: dict[str, Tensor], prefix: str, *, but: str = "\0") -> dict[str, Tensor]:
    """The tensors of a module, without those of a module in it."""
    return {
        key: value for key, value in state.items() if key.startswith(f"{prefix}.") and not key.startswith(f"{but}.")
    }
