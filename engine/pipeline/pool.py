"""Workers of an ingest as Ray tasks: one call, one task."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import ray
from ray.exceptions import OutOfMemoryError, RayTaskError, WorkerCrashedError

from engine.collection.pool import Job, WorkerDiedError
from engine.pipeline.cluster import connected, on_cluster
from engine.study import Runtime

TRIES = 2
"""Times a task is started again when its worker dies: a preempted node is no damaged file."""


class RayPool:
    """Tasks of one CPU each; Ray is started or joined when the first one is submitted.

    An ingest that finds nothing to do should not wait for a cluster.
    """

    def __init__(self, runtime: Runtime, size: int, session: ExitStack) -> None:
        self.size = size
        self._runtime = runtime
        self._session = session
        self._open = False
        self._tasks: dict[Callable[..., Any], Any] = {}
        self._shared: dict[int, tuple[Any, Any]] = {}

    def submit(self, function: Callable[..., Any], *args: Any) -> Job:
        """Start a call; its first argument is sent to the workers once."""
        if not self._open:
            self._session.enter_context(connected(self._runtime))
            self._open = True
        if function not in self._tasks:
            task = ray.remote(num_cpus=1, max_retries=TRIES, retry_exceptions=False)
            self._tasks[function] = task(function)
        first, *rest = args
        if id(first) not in self._shared:  # the object is kept too, so that its id stays its own
            self._shared[id(first)] = (first, ray.put(first))
        return partial(_result, self._tasks[function].remote(self._shared[id(first)][1], *rest))


def _result(reference: Any) -> Any:
    try:
        return ray.get(reference)
    except (WorkerCrashedError, OutOfMemoryError) as error:
        raise WorkerDiedError(str(error).splitlines()[0]) from error
    except RayTaskError as error:
        raise error.as_instanceof_cause() from error  # type: ignore[no-untyped-call]


@contextmanager
def ray_pool(runtime: Runtime, size: int | None = None) -> Iterator[RayPool]:
    """A pool in the cluster of the runtime, else in a local Ray of its own.

    Args:
        size: tasks at once; None: the CPUs of the cluster, or of this machine without one.

    Raises:
        UserError: there is no Ray at the address.
    """
    with ExitStack() as session:
        if size is None and on_cluster(runtime):
            session.enter_context(connected(runtime))
            size = int(ray.cluster_resources().get("CPU", 1))  # type: ignore[no-untyped-call]
        yield RayPool(runtime, size or _own_cpus(), session)


def _own_cpus() -> int:
    """Those this process may use; a container often has fewer than its machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
