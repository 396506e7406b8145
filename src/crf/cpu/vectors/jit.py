"""How functions of the CRF are compiled, and a parallel loop that compiles in a fraction of the time of Numba's own.

Numba analyses each `parallel=True` function and turns each of its loops into a function, which takes seconds. Here one
such function, compiled once, serves all loops on the same threads: it gets the address of a compiled function and calls
it for each index. Only the few functions that Python calls get a Python wrapper and are kept on disk.
"""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numba
from llvmlite import ir
from numba import config, prange, types
from numba.core import cgutils

from .. import ahead
from ..cache import folder, locked
from .simd import intrinsic

BYTES = ir.IntType(8).as_pointer()
OF_A_BODY = (types.voidptr, types.intp)  # arguments of a loop body: the address of the other arguments, the index
POINTS_PER_THREAD = 8192  # with fewer points, another thread costs more than it saves
MOST_THREADS: int = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
_one_at_a_time = threading.Lock()  # a call uses all threads, and some threading layers of Numba cannot be shared
_is_forked = False
njit: Any = numba.njit  # its types do not know the options for wrappers

inner = njit(nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
"""Decorates a function that only compiled functions call; it is compiled as part of them."""


def entry(function: Callable[..., Any], **options: Any) -> Any:
    """Decorates a function that is called from Python, or by many compiled ones: its compiled form is kept."""
    here, before = folder(), config.CACHE_DIR  # type: ignore[attr-defined]
    try:
        if here is not None:
            config.CACHE_DIR = str(here)  # type: ignore[attr-defined]
        made = njit(nogil=True, cache=here is not None, no_cfunc_wrapper=True, **options)(function)
    finally:
        config.CACHE_DIR = before  # type: ignore[attr-defined]
    if here is not None:
        _save_alone(made._cache._cache_file)
    return made


def _save_alone(file: Any) -> None:
    """Let one process at a time save a function's code for other types.

    Numba numbers the files of code: two processes would give the same number to code for different types, and a third
    would then run the wrong one.
    """
    save = file.save

    def alone_saved(key: Any, data: Any) -> None:
        with locked("save"):
            save(key, data)

    file.save = alone_saved


@intrinsic
def _call(typing: Any, body: Any, arguments: Any, index: Any) -> Any:
    """Call the function at an address."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = context.call_conv.get_function_type(types.none, OF_A_BODY)
        function = builder.inttoptr(args[0], kind.as_pointer())
        given = [builder.inttoptr(args[1], BYTES), args[2]]
        status, _ = context.call_conv.call_function(builder, function, types.none, OF_A_BODY, given)
        with cgutils.if_unlikely(builder, status.is_error):
            context.call_conv.return_status_propagate(builder, status)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp), generate


@intrinsic
def _count_threads(typing: Any) -> Any:
    """How many threads `alone` allows. Numba's own `get_num_threads` would keep its callers from being kept on disk."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(context.get_value_type(types.intp), [])
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, "get_num_threads"), [])

    return types.intp(), generate


def _loop(body, arguments, count):
    for index in prange(count):
        _call(body, arguments, index)


_over_indices = entry(_loop, parallel=True, no_cpython_wrapper=True)


@inner
def _drive(body, arguments, count):
    """A single thread needs no others, and after a fork it must not ask for them: OpenMP would end the process."""
    if _count_threads() == 1:
        for index in range(count):
            _call(body, arguments, index)
    else:
        _over_indices(body, arguments, count)


@intrinsic
def each(typing: Any, count: Any, function: Any, arguments: Any) -> Any:
    """Call the compiled `function(index, *arguments)` for the indices 0..count - 1; each thread takes a range of them.

    `function` is a Numba function that returns nothing; `arguments` is a tuple.
    """
    called = typing.resolve_function_type(function, (types.intp, *arguments.types), {})
    over = typing.resolve_value_type(_drive)
    driver = typing.resolve_function_type(over, (types.intp,) * 3, {})

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        body = _body(context, builder.module, function, called, arguments)
        kept = cgutils.alloca_once_value(builder, args[2])
        addresses = [builder.ptrtoint(pointer, context.get_value_type(types.intp)) for pointer in (body, kept)]
        number = context.cast(builder, args[0], count, types.intp)
        return context.get_function(over, driver)(builder, [*addresses, number])

    return types.void(count, function, arguments), generate


def _body(context: Any, module: Any, function: Any, called: Any, arguments: Any) -> Any:
    """A function that takes the address of the arguments and an index, and calls `function` with both."""
    kind = context.call_conv.get_function_type(types.none, OF_A_BODY)
    body = ir.Function(module, kind, module.get_unique_name("body"))
    body.linkage = "internal"
    builder = ir.IRBuilder(body.append_basic_block())
    address, index = context.call_conv.get_arguments(body)
    pointer = builder.bitcast(address, context.get_value_type(arguments).as_pointer())
    values = cgutils.unpack_tuple(builder, builder.load(pointer), len(arguments.types))
    context.get_function(function, called)(builder, [index, *values])
    context.call_conv.return_value(builder, context.get_dummy_value())
    return body


@contextmanager
def alone(points: int, threads: int | None = None) -> Iterator[None]:
    """While this lasts, no other thread runs compiled functions here, and they use so many threads at most.

    A forked process has one: its parent's threads are gone, and OpenMP would end it, or wait for them for ever. The
    number of threads that torch uses stays: Numba and torch share OpenMP, and Numba sets it for the calling thread.
    """
    torch: Any = sys.modules.get("torch")
    with _one_at_a_time:
        ahead.wait()
        useful = 1 if _is_forked else -(-points // POINTS_PER_THREAD)
        of_torch, of_numba = torch and torch.get_num_threads(), numba.get_num_threads()
        numba.set_num_threads(min(threads or MOST_THREADS, MOST_THREADS, useful))
        try:
            yield
        finally:
            numba.set_num_threads(of_numba)
            if torch:
                torch.set_num_threads(of_torch)


def _after_fork() -> None:
    global _is_forked, _one_at_a_time
    _is_forked, _one_at_a_time = True, threading.Lock()  # another thread of the parent may have held it


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
