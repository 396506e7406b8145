"""Mean field of any pairwise terms on the CPU; the usual two run in the faster loop of `cpu.meanfield`."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt

from ..cpu import meanfield
from ..cpu.lattices.construction import build
from ..cpu.lattices.lattice import Lattice
from ..cpu.vectors.jit import alone
from ..cpu.vectors.simd import rows
from ..model import FloatArray
from ..permutohedral import alpha
from .filtering import Flow, Kernel, add_filtered, softmax, to_planes

NORMALIZATIONS = ("none", "before", "after", "symmetric")
USUAL = (2, 5)  # dimensions of the two terms for which the faster loop is compiled: positions, and colours besides


@dataclass(frozen=True)
class Term:
    """A pairwise term: what it adds to the logarithms of all labels is gains K Q.

    Attributes:
        lattice: of the Gaussian kernel K over the features.
        gains: float32; a number, one per label, or a matrix (C, C) whose row l is what label l receives.
        normalization: one of `NORMALIZATIONS`: K, K / n, 1 / n K or n^-1/2 K n^-1/2 with n = K 1.
    """

    lattice: Lattice
    gains: FloatArray
    normalization: str = "symmetric"

    @property
    def dimensions(self) -> int:
        """Of the features."""
        return int(self.lattice.slots.shape[1]) - 1

    @cached_property
    def kernel(self) -> Kernel:
        """What filters."""
        a, norm, scale = self.lattice, self.lattice.norm, np.float32(alpha(self.dimensions))
        ones = np.ones_like(norm)
        before = {"symmetric": norm, "before": norm * norm}.get(self.normalization, ones)
        after = {"symmetric": norm, "after": norm * norm}.get(self.normalization, ones) * scale
        weights = a.weights.view(np.float32).reshape(len(norm), -1)
        parts = a.bands, a.slots, a.owned, a.further, a.vertex, a.topology
        return Kernel(*parts, weights, before, after)

    def of(self, kept: npt.NDArray[np.int64]) -> "Term":
        """The same for some of the labels."""
        gains = self.gains
        if gains.ndim:
            gains = gains[kept] if gains.ndim == 1 else gains[np.ix_(kept, kept)]
        return Term(self.lattice, np.asarray(gains), self.normalization)


@lru_cache(maxsize=16)
def grid_lattice(shape: tuple[int, ...], sigmas: tuple[float, ...]) -> Lattice:
    """The lattice of the positions in an image or volume; the last axis comes first, as x before y."""
    return lattice(grid(shape, sigmas), origin=False)  # the origin is one of the points


def grid(shape: tuple[int, ...], sigmas: tuple[float, ...]) -> FloatArray:
    """(d, N) float32: positions over their sigmas, the last axis first; so the sigmas are those of x, y, z."""
    found = np.empty((len(shape), *shape), np.float32)
    for i, sigma in enumerate(sigmas):
        axis = len(shape) - 1 - i
        along = np.arange(shape[axis], dtype=np.float32) / np.float32(sigma)
        found[i] = along.reshape([-1 if a == axis else 1 for a in range(len(shape))])
    return found.reshape(len(shape), -1)


def lattice(features: FloatArray, *, origin: bool) -> Lattice:
    """The lattice of features (d, N), which are in units of the kernel's standard deviations; see `build`."""
    with alone(features.shape[1]):
        return build(features, origin=origin, any_size=True)


def infer(logarithms: FloatArray, terms: Sequence[Term], iterations: int, *, threads: int | None = None) -> FloatArray:
    """Mean field: Q = softmax(-U + sum of gains K Q), repeated (Kraehenbuehl and Koltun 2011, alg. 1).

    Args:
        logarithms: (C, N) float32 in C order, -U: logarithms of probabilities, or minus energies. Not modified.
        terms: pairwise terms over the N points.
        iterations: how often; 0 gives softmax(-U).
        threads: how many; None: all that Numba has.

    Returns:
        (C, N) float32, sum 1 over C.
    """
    if _is_usual(terms):
        (first, second), (a, b) = (term.lattice for term in terms), (float(term.gains) for term in terms)
        with alone(logarithms.shape[1], threads):
            return meanfield.run_two(logarithms, (first, second), (a, b), iterations)
    with _rows(logarithms, terms, threads) as work:
        softmax(work.unary, work.q)
        for _ in range(iterations if terms else 0):
            work.step()
        return work.planes(work.q)


def _is_usual(terms: Sequence[Term]) -> bool:
    """Whether the faster loop can run them."""
    plain = all(term.gains.ndim == 0 and term.normalization == "symmetric" for term in terms)
    return plain and tuple(term.dimensions for term in terms) == USUAL


def step(logarithms: FloatArray, terms: Sequence[Term], q: FloatArray) -> FloatArray:
    """One iteration from any probabilities `q` (C, N); see `infer`."""
    with _rows(logarithms, terms, None) as work:
        if terms:
            work.fill(q)
            work.step()
        else:
            softmax(work.unary, work.q)
        return work.planes(work.q)


def received(terms: Sequence[Term], q: FloatArray) -> FloatArray:
    """The sum over the terms of gains K Q, (C, N) float32."""
    with _rows(np.zeros_like(q), terms, None) as work:
        work.fill(q)
        return work.planes(work.sum()) if terms else np.zeros_like(q)


@contextmanager
def _rows(logarithms: FloatArray, terms: Sequence[Term], threads: int | None) -> "Iterator[_Rows]":
    with alone(logarithms.shape[1], threads):
        yield _Rows(logarithms, terms)


class _Rows:
    """The rows of all points while a call lasts."""

    def __init__(self, logarithms: FloatArray, terms: Sequence[Term]) -> None:
        self.labels = len(logarithms)
        self.width = meanfield.padded(self.labels)
        self.terms = terms
        self.unary = meanfield.unary_rows(logarithms, np.arange(self.labels), 0.0)

    @cached_property
    def q(self) -> npt.NDArray[np.void]:
        """Probabilities."""
        return rows(len(self.unary), self.width)

    @cached_property
    def x(self) -> npt.NDArray[np.void]:
        """Logarithms of unnormalised probabilities."""
        return rows(len(self.unary), self.width)

    @cached_property
    def _flow(self) -> Flow:
        """Rows to work with, enough for each term."""
        slots = max(len(term.lattice.vertex) for term in self.terms)
        bands = max(len(term.lattice.bands) for term in self.terms)
        return Flow(*(rows(count, self.width) for count in (slots, bands)))

    @cached_property
    def _gains(self) -> list[npt.NDArray[np.void]]:
        """Per term one row of factors, or a matrix by columns."""
        found = []
        for term in self.terms:
            gains = rows(self.labels if term.gains.ndim == 2 else 1, self.width)
            self._numbers(gains)[:] = 0
            self._numbers(gains)[:, : self.labels] = term.gains.T
            found.append(gains)
        return found

    def _numbers(self, array: npt.NDArray[np.void]) -> FloatArray:
        return array.view(np.float32).reshape(-1, self.width)

    def fill(self, q: FloatArray) -> None:
        """Take these probabilities (C, N)."""
        self._numbers(self.q)[:] = 0
        self._numbers(self.q)[:, : self.labels] = q.T

    def sum(self) -> npt.NDArray[np.void]:
        """Rows of -U plus what the terms add."""
        for number, (term, gains) in enumerate(zip(self.terms, self._gains, strict=True)):
            is_matrix = term.gains.ndim == 2
            add_filtered(
                term.kernel, self._flow, gains, is_matrix, self.labels, self.q, self.unary, number == 0, self.x
            )
        return self.x

    def step(self) -> None:
        """One iteration."""
        softmax(self.sum(), self.q)

    def planes(self, array: npt.NDArray[np.void]) -> FloatArray:
        """(C, N) of rows."""
        found = np.empty((self.labels, len(array)), np.float32)
        to_planes(self._numbers(array), found)
        return found
