"""Ray itself: starting or joining it, and asking what its workers would compute with."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import ray
import torch
from ray.data import DataContext
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from engine.errors import SamscopeError, UserError, text_of
from engine.study import Runtime

T = TypeVar("T")


def local_device(runtime: Runtime) -> str:
    """Where models run without a cluster."""
    if runtime.device != "auto":
        return runtime.device
    return "cuda" if torch.cuda.is_available() else "cpu"


def on_cluster(runtime: Runtime) -> bool:
    """Whether units go to a Ray that was there before us."""
    return address_of(runtime) != "local" or ray.is_initialized()


def address_of(runtime: Runtime) -> str:
    """The Ray named by the runtime or RAY_ADDRESS, else `local`: one of our own."""
    return runtime.address or os.environ.get("RAY_ADDRESS") or "local"


@contextlib.contextmanager
def connected(runtime: Runtime) -> Iterator[None]:
    """A Ray session: the cluster named by the runtime or RAY_ADDRESS, else a local one.

    Raises:
        UserError: there is no Ray at the address.
    """
    address = address_of(runtime)
    if ray.is_initialized():  # a caller's own session: use it and leave it running
        _quiet(DataContext.get_current())
        yield
        return
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == "local":
        options["include_dashboard"] = False
        # Ray Data makes its core print an alarming line about every actor pool it starts.
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    on_sigterm = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address=address, **options)
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, on_sigterm)  # Ray's own ends in an abort
    except ConnectionError as error:
        raise UserError(
            "there is no Ray to connect to",
            where=address,
            got=text_of(error),
            expected="a running cluster, or no --address and no RAY_ADDRESS",
            remedy="start it with `ray start --head`, or leave the address out",
        ) from error
    _quiet(DataContext.get_current())
    try:
        yield
    finally:
        ray.shutdown()


def actor_count(runtime: Runtime, device: str) -> int:
    """Evaluators to start: as asked, else one per GPU, else one per CPU."""
    if runtime.actors is not None:
        return runtime.actors
    return max(1, int(_resources().get("GPU" if device == "cuda" else "CPU", 1)))


def device_of(runtime: Runtime) -> str:
    """`cuda` where the cluster has GPUs and the runtime does not forbid them, else `cpu`."""
    if runtime.device != "auto":
        return runtime.device
    return "cuda" if _resources().get("GPU", 0) >= 1 else "cpu"


def on_worker(device: str, ask: Callable[..., T], *given: object) -> T:
    """What `ask` says on a worker of that device, which need not be what the driver would say."""
    probe = ray.remote(num_cpus=0, num_gpus=1 if device == "cuda" else 0)(ask)
    try:
        said: T = ray.get(probe.remote(*given))
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, SamscopeError):
            raise error.cause from error
        raise
    return said


@dataclass(frozen=True)
class Machine:
    """A machine of the cluster.

    Attributes:
        node: the cluster's id of it.
        host: its address.
    """

    node: str
    host: str
    cpus: int


def machines_without_gpu() -> list[Machine]:
    """Those alive with a CPU to give, but the driver's own, which has enough to do."""
    known: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    found = []
    for one in known:
        has = one["Resources"]
        idle = one["Alive"] and one["NodeID"] != this_node()
        if idle and has.get("CPU", 0) >= 1 and not has.get("GPU", 0):
            found.append(Machine(one["NodeID"], one["NodeManagerAddress"], int(has["CPU"])))
    return found


def on_machine(work: Callable[..., Any], node: str, **options: Any) -> Any:
    """A task or an actor there and nowhere else; it fails when that machine is lost."""
    there = NodeAffinitySchedulingStrategy(node, soft=False)
    remote: Any = ray.remote
    return remote(scheduling_strategy=there, **options)(work)


def this_node() -> str:
    """The cluster's id of this machine; empty without Ray."""
    return str(ray.get_runtime_context().get_node_id()) if ray.is_initialized() else ""


def lost(node: str) -> bool:
    """Whether a machine has left the cluster: what died with it says nothing about its work."""
    if not node or not ray.is_initialized():
        return False
    known: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return not any(machine["NodeID"] == node and machine["Alive"] for machine in known)


def _resources() -> dict[str, float]:
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return resources


def _quiet(context: DataContext) -> None:
    """Our own progress bar replaces Ray Data's."""
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
