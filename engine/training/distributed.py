"""Ray Train around the loop: one CPU worker on a laptop, many GPUs on a cluster.

The only file of this room that knows Ray. Every worker runs `loop.train` on its share of each
step; the loop keeps its own state in the training directory, so a worker group that Ray starts
again goes on where the first one was saved.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from queue import Empty
from typing import Any

import ray
import torch
from ray.train import FailureConfig, RunConfig, ScalingConfig, get_context
from ray.train.torch import TorchConfig, TorchTrainer
from ray.train.v2.api.exceptions import TrainingFailedError, WorkerGroupError
from ray.util.queue import Queue

from engine.errors import SamscopeError, UserError, text_of
from engine.stores import Place
from engine.training.config import TrainingConfig
from engine.training.folder import SCRATCH, alone, cannot_write, sweep
from engine.training.loop import Event, Listener, Team, train

_POLL_S = 0.5

_LONGEST_WAIT_S = 24 * 3600
"""Others wait while the first worker encodes or validates; Ray itself notices the dead."""


@dataclass(frozen=True)
class Workers:
    """Who trains; nothing here belongs to the training's identity.

    Attributes:
        count: worker processes.
        device: `cpu` or `cuda`; a worker has one GPU.
        threads: CPU threads of each worker.
        attempts: times a group of workers is started again after one died.
    """

    count: int = 1
    device: str = "cpu"
    threads: int = 1
    attempts: int = 2


def train_on_workers(
    config: TrainingConfig, collection: Place, out: Path, workers: Workers, told: Listener
) -> None:
    """Train with Ray Train; Ray must be running or reachable (`connected`).

    The caller holds `out`: leftovers of an earlier training are removed.

    Raises:
        UserError, SamscopeError: as `loop.train`.
        SamscopeError: workers died more often than `attempts`.
        KeyboardInterrupt: Ctrl-C.
    """
    sweep(out)
    errors: list[SamscopeError] = []
    before = signal.getsignal(signal.SIGINT)
    try:
        with (
            _events(told, errors) as queue,
            _scratch(out) as scratch,
        ):
            given = {
                "config": config.model_dump(mode="json"),
                "collection": str(collection),
                "out": str(out),
                "threads": workers.threads,
                "device": workers.device,
                "queue": queue,
                "failed": str(Path(scratch) / "failed"),
            }
            _trainer(given, workers, scratch).fit()
    except TrainingFailedError as error:
        raise (errors[0] if errors else _cause(error)) from error
    except SystemExit as stopped:  # Ray Train's answer to Ctrl-C
        raise KeyboardInterrupt from stopped
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, before)
    if errors:
        raise errors[0]


@contextlib.contextmanager
def _scratch(out: Path) -> Iterator[str]:
    """A folder for Ray's own files, gone at the end."""
    try:
        folder = tempfile.TemporaryDirectory(dir=out, prefix=SCRATCH, ignore_cleanup_errors=True)
    except OSError as error:
        raise cannot_write(out, error) from error
    with folder as name:
        yield name


def _trainer(given: dict[str, Any], workers: Workers, scratch: str) -> TorchTrainer:
    cuda = workers.device == "cuda"
    return TorchTrainer(
        _work,
        train_loop_config=given,
        torch_config=TorchConfig(timeout_s=_LONGEST_WAIT_S),
        scaling_config=ScalingConfig(
            num_workers=workers.count,
            use_gpu=cuda,
            resources_per_worker={"CPU": workers.threads} | ({"GPU": 1} if cuda else {}),
        ),
        run_config=RunConfig(
            name="train",
            storage_path=scratch,
            failure_config=FailureConfig(max_failures=workers.attempts),
        ),
    )


def _work(given: dict[str, Any]) -> None:
    """What every worker runs."""
    failed = Path(given["failed"])
    if failed.exists():
        return  # the same mistake would be made again: end well, the driver has the error
    torch.set_num_threads(given["threads"])
    rank, world = get_context().get_world_rank(), get_context().get_world_size()
    team = Team(
        device=torch.device("cpu") if given["device"] == "cpu" else ray.train.torch.get_device(),
        rank=rank,
        world=world,
        total=_sum if world > 1 else (lambda tensors: None),
        threads=max(1, given["threads"] // 2),
    )
    queue: Queue = given["queue"]

    def tell(said: Event | SamscopeError) -> None:
        queue.put(pickle.dumps(said))

    told: Listener = tell if rank == 0 else (lambda event: None)
    config, out = TrainingConfig.model_validate(given["config"]), Path(given["out"])
    try:
        with alone(out) if rank == 0 else contextlib.nullcontext():
            team.total([torch.zeros(1, device=team.device)])  # none reads before the first holds
            train(config, Path(given["collection"]), out, team, told)
    except SamscopeError as error:
        tell(error)
        with contextlib.suppress(OSError):  # on a full disk: tried `attempts` times, then raised
            failed.touch()
        if world > 1:
            raise  # the others wait for this one: Ray must stop them


def _sum(tensors: list[torch.Tensor]) -> None:
    """Sum over all workers in one message."""
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
    torch.distributed.all_reduce(flat)
    place = 0
    for tensor in tensors:
        tensor.copy_(flat[place : place + tensor.numel()].view_as(tensor))
        place += tensor.numel()


@contextlib.contextmanager
def _events(told: Listener, errors: list[SamscopeError]) -> Iterator[Queue]:
    """A queue whose events reach `told` and whose errors are added to `errors`.

    They pass it as bytes: unpacked there, its process would import all that training needs.
    """
    queue = Queue(actor_options={"num_cpus": 0})
    ended = threading.Event()

    def listen() -> None:
        while True:
            try:
                event: Event | SamscopeError = pickle.loads(queue.get(timeout=_POLL_S))
            except Empty:
                if ended.is_set():
                    return
                continue
            if isinstance(event, SamscopeError):
                errors.append(event)
            else:
                told(event)

    thread = threading.Thread(target=listen, name="training events", daemon=True)
    thread.start()
    try:
        yield queue
    finally:
        ended.set()
        thread.join()
        queue.shutdown()


def _cause(error: TrainingFailedError) -> SamscopeError:
    """The error of ours inside Ray's, or Ray's in words."""
    failures: dict[int, Exception] = {}
    if isinstance(error, WorkerGroupError):
        failures = dict(error.worker_failures)
    for _, failure in sorted(failures.items()):
        for inner in (failure, failure.__cause__, getattr(failure, "cause", None)):
            if isinstance(inner, SamscopeError):
                return inner
    first = next(iter(failures.values()), error)
    return SamscopeError(
        "the training's workers failed",
        got=text_of(first).strip().split("\n")[-1],
        remedy="run the same command again: it goes on from the last saved state",
    )


def local_workers(count: int, device: str, threads: int | None, attempts: int) -> Workers:
    """Workers for a Ray on this machine; by default they share its CPUs.

    Raises:
        UserError: the machine has fewer CPUs or GPUs: Ray would wait for more for ever.
    """
    there: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    cpus, gpus = int(there.get("CPU", 1)), int(there.get("GPU", 0))
    if hasattr(os, "sched_getaffinity"):
        cpus = min(cpus, len(os.sched_getaffinity(0))) if threads is None else cpus
    workers = Workers(count, device, threads or max(1, cpus // count), attempts)
    if count * workers.threads > int(there.get("CPU", 1)) or (device == "cuda" and count > gpus):
        raise UserError(
            "this machine is too small for these workers",
            where="--workers, --threads",
            got=f"{count} x {workers.threads} threads on {device}",
            expected=f"at most {cpus} CPUs and {gpus} GPUs",
            remedy="ask for fewer, or name a cluster with --address",
        )
    return workers


__all__ = ["Workers", "local_workers", "train_on_workers"]
