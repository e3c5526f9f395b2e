"""CPUs beside GPUs: machines without one do whole units from the end of the list.

The stream comes from the list's front and answers for every unit. When it gets to one that a
helper has begun and not finished, it does that unit as well: a helper that is slow, fails or is
lost delays nothing and loses nothing. Of a unit that both have committed the ledger counts one.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import ray
from ray.exceptions import RayError

from engine.errors import text_of
from engine.evaluation.rows import CellRows
from engine.pipeline.actor import Assignment, EvaluatorActor
from engine.pipeline.cluster import Machine, machines_without_gpu, on_machine, this_node
from engine.pipeline.datasource import read_unit
from engine.pipeline.receipt import Lost
from engine.pipeline.shares import Shares
from engine.planning.tasks import Tasks, UnitTask

log = logging.getLogger(__name__)

LOOK_S = 10.0
"""Between two looks for machines that have joined the cluster."""

WAIT_S = 0.5
"""Longest wait for a helper before looking whether the stream is at its end."""

END_S = 10.0
"""Longest wait for the thread that leads them; helpers that it leaves end with the driver."""

DEATHS = 3
"""On a machine that lost so many helpers the next one is not replaced."""


class Helper(EvaluatorActor):
    """An evaluator that reads its units itself and leaves to the stream what fails.

    It marks no attempts: those of the stream alone decide when to give a unit up.
    """

    _whole = True

    def ready(self) -> None:
        """Answers when the models are loaded."""

    def evaluate(self, collection: str, packed: bytes) -> tuple[dict[str, Any], bool]:
        """(receipt of one unit, a row of `RECEIPT`; whether all of it is committed)."""
        self._whole = True
        (receipt,) = self(read_unit(collection, packed)).to_pylist()
        return {**receipt, "helper": True}, self._whole

    def _begin(self, task: UnitTask) -> list[Lost]:
        return []

    def _end(self, task: UnitTask) -> None:
        pass

    def _commit(self, task: UnitTask, rows: CellRows, attempts: int) -> CellRows:
        if not rows.failed:
            rows = super()._commit(task, rows, attempts)
        self._whole &= not rows.failed
        return rows


@dataclass(frozen=True)
class _Call:
    """What a helper was asked for: the unit at a place; None: to load its models."""

    machine: Machine
    actor: Any
    place: int | None = None


class Helpers:
    """The helpers of one stream, led by a thread of the driver.

    Args:
        room: helpers that a machine has room for.
    """

    def __init__(
        self,
        collection: str,
        tasks: Tasks,
        assignment: Assignment,
        room: Callable[[Machine], int],
    ) -> None:
        self._collection, self._tasks, self._room = collection, tasks, room
        self._assignment = replace(assignment, device="cpu", attempts=1)
        # Not on a machine that may be lost. Started anew it knows of no unit that is finished: such
        # are done again.
        lasting = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": -1}
        self._shares = on_machine(Shares, this_node(), **lasting).remote(tasks.unit_ids())
        self._calls: dict[Any, _Call] = {}
        self._deaths: dict[str, int] = {}
        self._looked = float("-inf")
        self._receipts: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._lead, name="helpers", daemon=True)

    def begins(self) -> Callable[[str], bool]:
        """What the stream's evaluators ask before a unit."""
        return _Asks(self._shares)

    def start(self) -> None:
        """Begin to look for machines."""
        self._thread.start()

    def end(self) -> None:
        """The stream has done all that no helper has finished: send them home."""
        self._over.set()
        self._thread.join(END_S)  # it may be asking a machine that does not answer

    def receipts(self) -> Iterator[dict[str, Any]]:
        """Of the units that helpers have finished since the last call."""
        while not self._receipts.empty():
            yield self._receipts.get()

    def _lead(self) -> None:
        try:
            while not self._over.is_set():
                self._look()
                self._step()
        except Exception:  # what helps must not stop what it helps
            log.exception("no more helpers")
        finally:
            for call in self._calls.values():
                ray.kill(call.actor)

    def _look(self) -> None:
        """Start helpers on machines that have none yet."""
        if time.monotonic() - self._looked < LOOK_S:
            return
        self._looked = time.monotonic()
        for machine in machines_without_gpu():
            if machine.node in self._deaths:
                continue
            self._deaths[machine.node] = 0
            try:
                room = self._room(machine)
            except RayError as problem:  # it was lost between two looks
                log.warning("%s is left out: %s", machine.host, text_of(problem).splitlines()[0])
                continue
            log.info("%s, which has no GPU, has room for %d helpers", machine.host, room)
            for _ in range(room):
                self._start(machine)

    def _start(self, machine: Machine) -> None:
        actor = on_machine(Helper, machine.node, num_cpus=1).remote(self._assignment)
        self._calls[actor.ready.remote()] = _Call(machine, actor)

    def _step(self) -> None:
        """Wait a moment for a helper, and give it the next unit."""
        if not self._calls:
            self._over.wait(WAIT_S)
            return
        answered, _ = ray.wait(list(self._calls), timeout=WAIT_S)
        for answer in answered:
            call = self._calls.pop(answer)
            try:
                said = ray.get(answer)
            except RayError as problem:
                self._lost(call.machine, problem)
                continue
            if call.place is None or self._done(call, *said):
                self._give(call)

    def _done(self, call: _Call, receipt: dict[str, Any], whole: bool) -> bool:
        """Take note of a receipt; returns whether its helper can go on."""
        if receipt["stopped"] is not None:
            log.warning("a helper on %s stops: %s", call.machine.host, receipt["stopped"])
            return False
        if whole and ray.get(self._shares.finish.remote(call.place)):
            self._receipts.put(receipt)
        if receipt["recycled"] is not None:
            self._start(call.machine)
        return receipt["recycled"] is None

    def _give(self, call: _Call) -> None:
        """The next unit; a helper that gets none ends with the last word of it."""
        place: int | None = ray.get(self._shares.take.remote())
        if place is not None:
            packed = self._tasks[place].pack()
            answer = call.actor.evaluate.remote(self._collection, packed)
            self._calls[answer] = replace(call, place=place)

    def _lost(self, machine: Machine, problem: RayError) -> None:
        self._deaths[machine.node] += 1
        log.warning("a helper on %s is lost: %s", machine.host, text_of(problem).splitlines()[0])
        if self._deaths[machine.node] < DEATHS:
            self._start(machine)


@dataclass(frozen=True)
class _Asks:
    """A question to the shares, as it travels to an evaluator."""

    shares: Any

    def __call__(self, unit_id: str) -> bool:
        return bool(ray.get(self.shares.begin.remote(unit_id)))


@contextmanager
def helped(
    collection: str, tasks: Tasks, assignment: Assignment, room: Callable[[Machine], int]
) -> Iterator[Helpers]:
    """Helpers at work for the block."""
    helpers = Helpers(collection, tasks, assignment, room)
    helpers.start()
    try:
        yield helpers
    finally:
        helpers.end()
