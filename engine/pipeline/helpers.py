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
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import ray
from ray.exceptions import RayError

from engine.errors import text_of
from engine.evaluation.rows import CellRows
from engine.models.memory import Projection
from engine.pipeline.actor import Assignment, EvaluatorActor
from engine.pipeline.cluster import Machine, machines_without_gpu, on_machine, this_node
from engine.pipeline.datasource import read_unit
from engine.pipeline.receipt import Lost
from engine.pipeline.shares import Shares
from engine.planning.admission import memory_of, room
from engine.planning.tasks import Tasks, UnitTask

log = logging.getLogger(__name__)

LOOK_S = 10.0
"""Between two looks for machines that have joined the cluster."""

WAIT_S = 0.5
"""Longest wait for an answer before looking whether the stream is at its end."""

IN_A_ROW = 3
"""After so many units that a helper could not do, or lost helpers of a machine, that is left."""


class Helper(EvaluatorActor):
    """An evaluator that reads its units itself and commits those alone in which nothing failed.

    It marks no attempts: those of the stream decide when to give a unit up.
    """

    _whole = True

    def ready(self) -> str | None:
        """Answers when the models are loaded; why it can do no unit, or None."""
        return self._stopped

    def evaluate(self, collection: str, packed: bytes) -> tuple[dict[str, Any], bool]:
        """(receipt of one unit, a row of `RECEIPT`; whether it is committed)."""
        (receipt,) = self(read_unit(collection, packed)).to_pylist()
        return {**receipt, "helper": True}, self._whole

    def _begin(self, task: UnitTask) -> list[Lost]:
        return []

    def _end(self, task: UnitTask) -> None:
        pass

    def _commit(self, task: UnitTask, cells: Sequence[CellRows], attempts: int) -> list[CellRows]:
        """Half a unit would leave the rest of it to another kind of machine."""
        self._whole = not any(rows.failed for rows in cells)
        if not self._whole:
            return list(cells)
        committed = super()._commit(task, cells, attempts)
        self._whole = not any(rows.failed for rows in committed)
        return committed

    def _count(self, receipt: dict[str, Any]) -> None:
        if self._whole:
            super()._count(receipt)


@dataclass(frozen=True)
class _Awaited:
    """An answer that is to come.

    Attributes:
        of: the machine that was asked.
        then: what is done with it.
        actor: that was asked; None: no helper.
    """

    of: Machine
    then: Callable[[Any], None]
    actor: Any = None


@dataclass
class _Worker:
    """A helper as the driver knows it; failures: units in a row that it could not do."""

    machine: Machine
    actor: Any
    failures: int = 0


class Helpers:
    """The helpers of one stream, led by a thread of the driver that waits for nothing for long.

    Args:
        projection: memory of one helper; None: its models have no network.
    """

    def __init__(
        self,
        collection: str,
        tasks: Tasks,
        assignment: Assignment,
        projection: Projection | None,
    ) -> None:
        self._collection, self._tasks, self._projection = collection, tasks, projection
        self._assignment = replace(assignment, device="cpu", attempts=1)
        # Not on a machine that may be lost. Started anew it knows of no unit that is finished: such
        # are done again.
        lasting = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": -1}
        self._shares = on_machine(Shares, this_node(), **lasting).remote(tasks.unit_ids())
        self._awaited: dict[Any, _Awaited] = {}
        self._lost: dict[str, int] = {}  # helpers in a row, by node
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
        self._thread.join()

    def told(self, unit_id: str) -> None:
        """The stream has done this unit."""
        self._shares.finish.remote(unit_id)

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
            for one in self._awaited.values():
                if one.actor is not None:
                    with suppress(Exception):  # the others end all the same
                        ray.kill(one.actor)

    def _look(self) -> None:
        """Ask machines that have just joined for their memory."""
        if time.monotonic() - self._looked < LOOK_S:
            return
        self._looked = time.monotonic()
        for machine in machines_without_gpu():
            if machine.node not in self._lost:
                self._lost[machine.node] = 0
                there = on_machine(memory_of, machine.node, num_cpus=0).remote("cpu")
                self._awaited[there] = _Awaited(machine, partial(self._welcome, machine))

    def _step(self) -> None:
        """Wait a moment for an answer, and go on with it."""
        if not self._awaited:
            self._over.wait(WAIT_S)
            return
        answered, _ = ray.wait(list(self._awaited), timeout=WAIT_S)
        for answer in answered:
            one = self._awaited.pop(answer)
            try:
                said = ray.get(answer)
            except RayError as problem:
                self._gone(one, problem)
            else:
                one.then(said)

    def _welcome(self, machine: Machine, there: int) -> None:
        helpers = room(self._projection, machine.cpus, there)
        log.info("%s, which has no GPU, has room for %d helpers", machine.host, helpers)
        for _ in range(helpers):
            self._start(machine)

    def _start(self, machine: Machine) -> None:
        actor = on_machine(Helper, machine.node, num_cpus=1).remote(self._assignment)
        helper = _Worker(machine, actor)
        self._await(actor.ready.remote(), helper, partial(self._ready, helper))

    def _ready(self, helper: _Worker, stopped: str | None) -> None:
        if stopped is None:
            self._idle(helper)
        else:
            log.warning("a helper on %s can do nothing: %s", helper.machine.host, stopped)

    def _idle(self, helper: _Worker) -> None:
        self._await(self._shares.take.remote(), helper, partial(self._give, helper))

    def _give(self, helper: _Worker, place: int | None) -> None:
        """The next unit; a helper that gets none ends with the last word of it."""
        if place is not None:
            answer = helper.actor.evaluate.remote(self._collection, self._tasks[place].pack())
            self._await(answer, helper, partial(self._done, helper))

    def _done(self, helper: _Worker, said: tuple[dict[str, Any], bool]) -> None:
        receipt, whole = said
        host = helper.machine.host
        if receipt["stopped"] is not None:
            log.warning("a helper on %s stops: %s", host, receipt["stopped"])
            return
        if whole:
            helper.failures = self._lost[helper.machine.node] = 0
            self._receipts.put(receipt)  # before the stream can hear that it may skip the unit
            self._shares.finish.remote(receipt["unit_id"])
        else:
            helper.failures += 1
            why = ", ".join(f"{n} trials at {stage}" for stage, n in receipt["failures"])
            log.warning("%s is left to the GPUs: on %s failed %s", receipt["unit_id"], host, why)
            if helper.failures == IN_A_ROW:
                log.warning("a helper on %s is sent home", host)
                return
        if receipt["recycled"] is not None:
            self._start(helper.machine)
        else:
            self._idle(helper)

    def _await(self, answer: Any, helper: _Worker, then: Callable[[Any], None]) -> None:
        self._awaited[answer] = _Awaited(helper.machine, then, helper.actor)

    def _gone(self, one: _Awaited, problem: RayError) -> None:
        host, why = one.of.host, text_of(problem).partition("\n")[0]
        if one.actor is None:
            log.warning("%s is left out: %s", host, why)
            return
        self._lost[one.of.node] += 1
        log.warning("a helper on %s is lost: %s", host, why)
        if self._lost[one.of.node] < IN_A_ROW:
            self._start(one.of)


@dataclass(frozen=True)
class _Asks:
    """A question to the shares, as it travels to an evaluator."""

    shares: Any

    def __call__(self, unit_id: str) -> bool:
        return bool(ray.get(self.shares.begin.remote(unit_id)))


@contextmanager
def helped(
    collection: str, tasks: Tasks, assignment: Assignment, projection: Projection | None
) -> Iterator[Helpers]:
    """Helpers at work for the block."""
    helpers = Helpers(collection, tasks, assignment, projection)
    helpers.start()
    try:
        yield helpers
    finally:
        helpers.end()
