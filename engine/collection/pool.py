"""Who does the work of an ingest: this process, or others (`engine.pipeline.pool`)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

Job = Callable[[], Any]
"""Waits for the result of a submitted call and returns it."""


class Pool(Protocol):
    """Takes calls of module-level functions."""

    @property
    def size(self) -> int:
        """Calls that run at once."""
        ...

    def submit(self, function: Callable[..., Any], *args: Any) -> Job:
        """Start a call.

        Returns:
            What waits for its result; that raises WorkerDiedError where the worker is gone.
        """
        ...


class WorkerDiedError(Exception):
    """A worker process ended in the middle of a call, each time it was tried."""


class Here:
    """Calls run in this process, when their result is asked for."""

    size = 1

    def submit(self, function: Callable[..., Any], *args: Any) -> Job:
        return partial(function, *args)
