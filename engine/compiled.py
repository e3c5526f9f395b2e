"""Compile a kernel with numba and keep the machine code on disk where that is possible."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar, cast

from numba import njit

F = TypeVar("F", bound=Callable[..., object])

log = logging.getLogger(__name__)


def compiled(function: F) -> F:
    """Compile `function` on first call, without the GIL and without reordering float arithmetic.

    The machine code is kept beside the source or in the user's cache folder; where neither can be
    written (a read-only install, no home directory) every process compiles for itself.

    Kernels that call each other belong into one file: numba notices a change of the caller's file
    only. Call a kernel with one set of types only, or processes race for its cache entry.
    """
    try:
        return cast(F, njit(cache=True, nogil=True)(function))
    except RuntimeError as error:
        log.info("compiled code of %s is not kept: %s", function.__name__, error)
        return cast(F, njit(nogil=True)(function))
