"""How functions of the CRF are compiled: only the few that Python calls get a Python wrapper and are kept on disk."""

from collections.abc import Callable
from typing import Any

import numba
from numba import config

from src.crf.cpu.cache import folder

njit: Any = numba.njit  # its types do not know the options for wrappers

inner = njit(nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
"""Decorates a function that only compiled functions call; it is compiled as part of them."""


def entry(function: Callable[..., Any], **options: Any) -> Any:
    """Decorates a function that is called from Python, or by many compiled ones: its compiled form is kept."""
    here, before = folder(), config.CACHE_DIR  # type: ignore[attr-defined]
    try:
        if here is not None:
            config.CACHE_DIR = str(here)  # type: ignore[attr-defined]
        return njit(nogil=True, cache=here is not None, no_cfunc_wrapper=True, **options)(function)
    finally:
        config.CACHE_DIR = before  # type: ignore[attr-defined]
