"""Engines: where dense CRFs run, and how many at a time. To add an engine, write it here and list it in `ENGINES`."""

import multiprocessing
import signal
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any, Protocol

import torch
from torch import Tensor

from . import reference
from .errors import CRFError, forget_locals, is_memory
from .model import DenseCRF, FloatArray, Image, readonly


class Engine(Protocol):
    """Runs models on batches of images; owns threads or processes until it is closed.

    Attributes:
        device: of the probabilities that it takes and gives.
        batch: how many images it takes at a time; may become less if memory is short.
        ahead: how many batches may be under way while the caller goes on; 0: the caller waits for each batch.
        busy: seconds that CRFs have run so far, of all processes together.
    """

    device: torch.device
    batch: int
    ahead: int
    busy: float

    def submit(self, probs: list[Tensor], rgb: list[Image], models: Sequence[DenseCRF]) -> "Future[list[list[Tensor]]]":
        """Start a batch.

        Args:
            probs: per image (C, H, W) float32 in [0, 1] on `device`, sum 1 over C. Not modified.
            rgb: per image (H, W, 3) uint8. Not modified.
            models: what to run on each image.

        Returns:
            A future: per image, per model, (C, H, W) float32 on `device`.
        """
        ...

    def close(self, *, cancel: bool) -> None:
        """End threads and processes; with `cancel`, batches that have not begun are dropped."""
        ...


class NumbaEngine:
    """Our CRF on the CPU: one image after the other, each with all threads.

    Args:
        threads: per image.
        beside: run while the caller goes on; else the caller waits, which is faster if it needs the same cores
            (`make bench`).
    """

    device = torch.device("cpu")
    batch = 1

    def __init__(self, threads: int, *, beside: bool) -> None:
        self.threads = threads
        self.ahead = 4 if beside else 0
        self.busy = 0.0
        self._executor: Executor = ThreadPoolExecutor(1) if beside else _AtOnce()

    def submit(self, probs: list[Tensor], rgb: list[Image], models: Sequence[DenseCRF]) -> "Future[list[list[Tensor]]]":
        """See `Engine`."""
        return self._executor.submit(self._run, probs, rgb, models)

    def _run(self, probs: list[Tensor], rgb: list[Image], models: Sequence[DenseCRF]) -> list[list[Tensor]]:
        from .cpu import meanfield

        if not meanfield.is_compiled():
            print("compiling the dense CRF for this processor: 10 to 25 seconds, once", file=sys.stderr, flush=True)
        started, torchs = time.perf_counter(), torch.get_num_threads()
        (one,), (image,) = probs, rgb
        try:
            answers = meanfield.infer(readonly(one.numpy()), image, models, threads=self.threads)
        except MemoryError:
            raise _too_large(image, "run fewer jobs at a time, or trainer.cache=0") from None
        found = [[torch.from_numpy(q) for q in answers]]
        torch.set_num_threads(torchs)  # Numba and torch share OpenMP: Numba has set this thread's count to all cores
        self.busy += time.perf_counter() - started
        return found

    def close(self, *, cancel: bool) -> None:
        """See `Engine`."""
        self._executor.shutdown(cancel_futures=cancel)


def _too_large(image: Image, way_out: str) -> CRFError:
    height, width = image.shape[:2]
    return CRFError(f"out of memory: the dense CRF of a single image of {height} x {width} px; {way_out}.")


class _AtOnce(Executor):
    """An executor that runs each task at once, inside `submit`."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """See `Executor`."""
        done: Future[Any] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except Exception as error:
            done.set_exception(error)
        return done


class TorchEngine:
    """Our CRF in torch, on any device: a batch of images at a time, or fewer if memory is short.

    It has its own thread, and on a GPU its own stream, so the network can go on meanwhile. Settings of the caller's
    thread, such as autocast, do not apply there: it computes in float32.
    """

    batch = 16
    ahead = 1

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.busy = 0.0
        self._executor = ThreadPoolExecutor(1)
        self._stream: torch.cuda.Stream | None = None

    def submit(self, probs: list[Tensor], rgb: list[Image], models: Sequence[DenseCRF]) -> "Future[list[list[Tensor]]]":
        """See `Engine`."""
        caller = None
        if probs[0].is_cuda:  # made only here: by now each process has its own GPU
            caller = torch.cuda.current_stream(probs[0].device)
            self._stream = self._stream or torch.cuda.Stream(probs[0].device)  # type: ignore[no-untyped-call]
            self._stream.wait_stream(caller)
        return self._executor.submit(self._run, probs, rgb, models, caller)

    @torch.inference_mode()
    def _run(
        self, probs: list[Tensor], rgb: list[Image], models: Sequence[DenseCRF], caller: "torch.cuda.Stream | None"
    ) -> list[list[Tensor]]:
        started = time.perf_counter()
        with torch.cuda.stream(self._stream):
            found = self._infer(probs, rgb, models)
        if self._stream is not None and caller is not None:
            for q in (q for image in found for q in image):
                q.record_stream(caller)  # its memory is not reused before the caller's stream is done with it
            self._stream.synchronize()
        self.busy += time.perf_counter() - started
        return found

    def _infer(self, probs: list[Tensor], rgb: list[Image], models: Sequence[DenseCRF]) -> list[list[Tensor]]:
        """The answers for a batch; if memory runs out, those of its halves, and later batches are as small."""
        from .gpu import meanfield

        try:
            return meanfield.infer(probs, rgb, models)
        except RuntimeError as error:
            if not is_memory(error):
                raise
            forget_locals(error)
        if len(probs) == 1:
            raise _too_large(rgb[0], "crf.engine=numba needs only main memory, and less of it")
        meanfield.forget()
        half = len(probs) // 2
        self.batch = min(self.batch, half)
        return self._infer(probs[:half], rgb[:half], models) + self._infer(probs[half:], rgb[half:], models)

    def close(self, *, cancel: bool) -> None:
        """See `Engine`."""
        self._executor.shutdown(cancel_futures=cancel)


class PyDenseCRFEngine:
    """The reference. It holds the GIL, so each process runs one image."""

    device = torch.device("cpu")
    batch = 1

    def __init__(self, processes: int) -> None:
        reference.require()
        context = multiprocessing.get_context("spawn")  # forking a process with threads can deadlock
        self._executor = ProcessPoolExecutor(processes, context, signal.signal, (signal.SIGTERM, signal.SIG_IGN))
        self.ahead = 2 * processes
        self.busy = 0.0

    def submit(self, probs: list[Tensor], rgb: list[Image], models: Sequence[DenseCRF]) -> "Future[list[list[Tensor]]]":
        """See `Engine`."""
        (one,), (image,) = probs, rgb
        answer = self._executor.submit(_timed_reference, one.numpy(), image, models)
        done: Future[list[list[Tensor]]] = Future()
        answer.add_done_callback(lambda answer: self._hand_on(answer, done))
        return done

    def _hand_on(self, answer: "Future[tuple[list[FloatArray], float]]", done: "Future[list[list[Tensor]]]") -> None:
        """Pass on a process's answer as tensors of a batch of one."""
        if answer.cancelled():
            done.cancel()
        elif (error := answer.exception()) is not None:
            done.set_exception(error)
        else:
            found, seconds = answer.result()
            self.busy += seconds
            done.set_result([[torch.from_numpy(q) for q in found]])

    def close(self, *, cancel: bool) -> None:
        """See `Engine`."""
        self._executor.shutdown(wait=not cancel, cancel_futures=True)


def _timed_reference(probs: FloatArray, rgb: Image, models: Sequence[DenseCRF]) -> tuple[list[FloatArray], float]:
    """The answer of pydensecrf, and how many seconds it took."""
    started = time.perf_counter()
    return reference.infer(probs, rgb, models), time.perf_counter() - started


ENGINES: dict[str, Callable[[str, int], Engine]] = {
    "auto": lambda device, cores: ENGINES["torch" if device == "cuda" else "numba"](device, cores),
    "numba": lambda device, cores: NumbaEngine(cores, beside=device != "cpu"),
    "torch": lambda device, cores: TorchEngine(torch.device(device)),
    "pydensecrf": lambda device, cores: PyDenseCRFEngine(cores),
}
"""Functions of device name and number of cores that make an engine; `auto` runs our CRF on the network's device."""
