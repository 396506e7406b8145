"""`DenseCRF`: a model of pairwise terms, run on probabilities or logits, NumPy or torch, one picture or many."""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import CRFError
from ..model import SMALLEST, FloatArray, check_range
from .kernels import Pairwise, as_numpy
from .meanfield import Term, infer, lattice
from .presets import PRESETS


class DenseCRF:
    """A dense CRF: pairwise terms, and how often the mean field is iterated.

    Args:
        terms: the pairwise terms, or the name of a preset, one of `PRESETS`.
        iterations: how many; None: the preset's, or 5.
        label_floor: a label is skipped in a picture where its largest probability is below this; 0 is exact.
        dimensions: of a picture: 2 for images, 3 for volumes, 1 for sequences.

    Raises:
        ValueError: an unknown preset, or a wrong number.
    """

    def __init__(
        self,
        terms: "Sequence[Pairwise] | str",
        *,
        iterations: int | None = None,
        label_floor: float = 0.0,
        dimensions: int = 2,
    ) -> None:
        usual = 5
        if isinstance(terms, str):
            if terms not in PRESETS:
                raise CRFError(f"there is no preset {terms}; there are {', '.join(PRESETS)}.")
            terms, usual, _ = PRESETS[terms]
        self.terms = tuple(terms)
        self.iterations = usual if iterations is None else iterations
        self.label_floor = label_floor
        self.dimensions = dimensions
        for name, low, high in (("iterations", 0, 10_000), ("label_floor", 0, 0.999), ("dimensions", 1, 6)):
            if not low <= getattr(self, name) <= high:
                raise CRFError(f"{name}={getattr(self, name)}: must be from {low} to {high}.")

    def __call__(self, probs: Any, image: Any = None, *, logits: bool = False) -> Any:
        """Probabilities of the labels, given those of a network and the picture.

        Args:
            probs: (C, H, W), or a batch (B, C, H, W), or a list of pictures of any sizes; with other `dimensions`
                accordingly. NumPy arrays, or tensors on any device. Not modified.
            image: (H, W, channels), or a batch, or a list; of any type. Only terms over colours need it.
            logits: whether `probs` are the values before the softmax.

        Returns:
            Of the shape and kind of `probs`, float32, sum 1 over C.

        Raises:
            ValueError: values that are no probabilities, or shapes that do not fit each other.
        """
        return run([self], probs, image, logits=logits)[0]


def run(models: Sequence[DenseCRF], probs: Any, image: Any = None, *, logits: bool = False) -> list[Any]:
    """Run several models on the same input; terms with equal sigmas share a lattice. See `DenseCRF.__call__`.

    Returns:
        Per model, what it gives alone.
    """
    if len({model.dimensions for model in models}) != 1:
        raise CRFError("models that run together must have the same number of dimensions, and there must be one.")
    many = _is_batch(probs, models[0].dimensions)
    pictures = list(probs) if many else [probs]
    images = [None] * len(pictures) if image is None else list(image) if many else [image]
    if not pictures or len(images) != len(pictures):
        raise CRFError(
            f"there must be as many images as pictures of probabilities; got {len(images)}, {len(pictures)}."
        )
    if getattr(getattr(pictures[0], "device", None), "type", "cpu") != "cpu":
        from .on_torch import run_on_device

        found = run_on_device(models, pictures, images, logits=logits)
    else:
        found = [_run(models, one, guide, logits=logits) for one, guide in zip(pictures, images, strict=True)]
    answers: list[Any] = [list(answer) for answer in zip(*found, strict=True)]
    if not many:
        return [answer[0] for answer in answers]
    return [_stacked(answer) if hasattr(probs, "shape") else answer for answer in answers]


def _is_batch(probs: Any, dimensions: int) -> bool:
    """Whether there are several pictures."""
    if isinstance(probs, list | tuple):
        return True
    if probs.ndim not in (dimensions + 1, dimensions + 2):
        wanted = "(C, H, W)" if dimensions == 2 else f"(C, ...) with {dimensions} further axes"
        raise CRFError(f"probs must be {wanted}, or a batch of that; got shape {tuple(probs.shape)}.")
    return bool(probs.ndim == dimensions + 2)


def _stacked(answers: list[Any]) -> Any:
    if isinstance(answers[0], np.ndarray):
        return np.stack(answers)
    import torch

    return torch.stack(answers)


def _run(models: Sequence[DenseCRF], probs: Any, image: Any, *, logits: bool) -> list[Any]:
    """Per model, the answer for one picture on the CPU."""
    values = as_numpy(probs)
    shape, labels = values.shape[1:], len(values)
    if len(shape) != models[0].dimensions or 0 in values.shape:
        raise CRFError(
            f"probs must be (C, ...) with {models[0].dimensions} further axes, none empty; got {values.shape}."
        )
    guide = None if image is None else as_numpy(image)
    logarithms = log_probabilities(values.reshape(labels, -1), logits=logits)
    highest = np.exp(logarithms.max(axis=1))
    lattices: dict[Hashable, Any] = {}
    found = []
    for model in models:
        for term in model.terms:
            if term.key() not in lattices:
                lattices[term.key()] = lattice(term.features(shape, guide), origin=False)
        terms = [Term(lattices[term.key()], term.gains(labels), term.normalization) for term in model.terms]
        kept = kept_labels(highest, model.label_floor)
        if len(kept) == labels:
            answer = infer(logarithms, terms, model.iterations)
        else:
            answer = np.zeros_like(logarithms)
            answer[kept] = infer(logarithms[kept], [term.of(kept) for term in terms], model.iterations)
        found.append(_like(answer.reshape(values.shape), probs))
    return found


def _like(answer: FloatArray, given: Any) -> Any:
    """The answer as a tensor, if one was given."""
    if not hasattr(given, "detach"):
        return answer
    import torch

    return torch.from_numpy(answer)


def kept_labels(highest: FloatArray, floor: float) -> npt.NDArray[np.int64]:
    """The labels whose highest probability reaches the floor, or else the one with the highest."""
    kept = np.flatnonzero(highest >= floor)
    return kept if len(kept) else np.array([highest.argmax()])


def log_probabilities(values: npt.NDArray[Any], *, logits: bool) -> FloatArray:
    """Logarithms (C, N) float32 of probabilities or of the softmax of logits, as if these were clipped to 1e-8."""
    if logits:
        logarithms = np.array(values, dtype=np.float32, order="C")
        logarithms -= logarithms.max(axis=0)
        logarithms -= np.log(np.exp(logarithms).sum(axis=0))
        if np.isnan(logarithms.min()):
            raise CRFError("logits must be finite; got NaN or infinity.")
        np.maximum(logarithms, np.float32(np.log(SMALLEST)), out=logarithms)
        return logarithms
    check_range(float(values.min()), float(values.max()))
    clipped = np.clip(values.astype(np.float32, copy=False), np.float32(SMALLEST), np.float32(1))
    return np.ascontiguousarray(np.log(clipped))
