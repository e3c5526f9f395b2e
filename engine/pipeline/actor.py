"""The evaluator actor: one per GPU or CPU share; scores whole units and commits them."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from engine.collection.checksum import data_sha256
from engine.collection.contract import SlicePixels
from engine.errors import CorruptDataError, SamscopeError, UserError, text_of
from engine.evaluate import Evaluator, fail_cells
from engine.evaluation.rows import CellRows
from engine.models.base import Card, Model
from engine.models.numerics import Numerics, deterministic_cpu, numerics_of
from engine.models.registry import load_model
from engine.pipeline.age import RECYCLED, Age
from engine.pipeline.cluster import lost, this_node
from engine.pipeline.datasource import unpack, unpack_task
from engine.pipeline.metrics import Metrics
from engine.pipeline.receipt import (
    MACHINE_LOST,
    RECEIPT,
    Effort,
    Lost,
    peak_memory_bytes,
    receipt_of,
    stopped_receipt,
)
from engine.pipeline.watchdog import Watchdog
from engine.planning.plan import UnitTask, algorithm_versions, columns_of, under
from engine.results.attempts import Attempt, begin, forget
from engine.results.parts import PartStore
from engine.results.rows import part_tables
from engine.runs import fence_of, logs_of
from engine.stores import place_of
from engine.study import Study

log = logging.getLogger(__name__)

LONGEST_DELAY_S = 60.0
"""Between two tries of a unit."""


@dataclass(frozen=True)
class Assignment:
    """What every actor of a run shares.

    Attributes:
        cards, numerics: what the plan's identities were computed from; an actor that would
            compute anything else refuses to start, or, where the study admits mixed numerics,
            commits under identities of its own.
        token: of the driver's lease on the run, where the run is in an object store.
        begins: asked with its id before a unit; False: another has committed it. None: none has.
    """

    study: Study
    device: str
    run_dir: str
    cards: Mapping[str, Card]
    numerics: Numerics
    attempts: int = 2
    patience_s: float = 3600.0
    recycle_units: int | None = None
    delay_s: float = 1.0
    token: int = 0
    begins: Callable[[str], bool] | None = None


class EvaluatorActor:
    """Loads the models once; each call evaluates and commits one unit, then returns its receipt.

    A worker that has done `recycle_units`, or has grown too large, says so in its receipt and ends
    itself when it is given another unit: Ray starts another in its place and hands it that unit.
    """

    def __init__(self, assignment: Assignment) -> None:
        self._assignment = assignment
        self._worker = f"{socket.gethostname()}:{os.getpid()}"
        place = place_of(assignment.run_dir)
        self._store = PartStore(place, algorithm_versions(), fence_of(place, assignment.token))
        if assignment.device == "cpu":
            deterministic_cpu()
        self._watchdog = Watchdog(assignment.patience_s, logs_of(place))
        self._stopped: str | None = None
        models: dict[str, Model] = {}
        self._numerics = assignment.numerics
        try:
            self._numerics = own_numerics(assignment)
            models = load_models(assignment)
        except SamscopeError as problem:
            self._stopped = text_of(problem)  # said with the first unit: see `stopped_receipt`
        self._columns = columns_of(assignment.study, assignment.cards, self._numerics)
        self._evaluator = Evaluator(assignment.study, models, self._numerics, self._watchdog.beat)
        self._age = Age(assignment.recycle_units)
        self._too_old: str | None = None
        self._metrics = Metrics()

    def __call__(self, row: pa.Table) -> pa.Table:
        started = time.perf_counter()
        task = unpack_task(row)
        if self._numerics != self._assignment.numerics:
            task = under(task, self._columns)
        if self._assignment.begins is not None and not self._assignment.begins(task.unit_id):
            return RECEIPT.empty_table()
        if self._stopped is not None:
            return stopped_receipt(task.unit_id, self._worker, self._stopped)
        if self._too_old is not None:
            log.info("%s starts anew before %s: %s", self._worker, task.unit_id, self._too_old)
            os._exit(RECYCLED)
        self._watchdog.beat()
        try:
            before = self._begin(task)
            attempts, cells = self._attempts(task, row, before)
            evaluated = time.perf_counter()
            cells = self._commit(task, cells, attempts)
            self._end(task)
        except (OSError, UserError) as problem:
            why = problem if isinstance(problem, UserError) else _unwritable(problem)
            return stopped_receipt(task.unit_id, self._worker, text_of(why))
        finally:
            self._watchdog.rest()
        self._age.add_unit()
        self._too_old = self._age.over()
        ended = time.perf_counter()
        effort = Effort(
            self._worker, attempts, before, ended - started, ended - evaluated, self._too_old
        )
        receipt = receipt_of(task.unit_id, len(task), cells, effort)
        self._count(receipt.to_pylist()[0])
        return receipt

    def _count(self, receipt: dict[str, Any]) -> None:
        self._metrics.add(receipt)

    def _begin(self, task: UnitTask) -> list[Lost]:
        """Mark the beginning; returns the workers that began this unit and did not finish it."""
        attempt = Attempt(task.unit_id, this_node(), self._worker, time.time())
        before = begin(self._store.store, attempt)
        return [Lost(one.worker, self._how(one)) for one in before]

    def _end(self, task: UnitTask) -> None:
        """The unit is committed."""
        forget(self._store.store, task.unit_id)

    def _how(self, attempt: Attempt) -> str:
        if lost(attempt.node):
            return MACHINE_LOST
        return "stalled" if self._watchdog.ended(attempt.worker) else "died"

    def _attempts(
        self, task: UnitTask, row: pa.Table, before: Sequence[Lost]
    ) -> tuple[int, list[CellRows]]:
        """Try a unit a few times, waiting longer each time; what still fails becomes failure rows.

        A worker that died with its machine is no attempt: the machine was lost, not the unit bad.
        """
        died = sum(one.how != MACHINE_LOST for one in before)
        attempt = died + 1
        if died >= self._assignment.attempts:
            problem = SamscopeError(
                "the worker died every time it evaluated this unit",
                where=task.unit_id,
                got=f"{died} deaths, or ends after {self._assignment.patience_s:g} s without a "
                "sign of life",
                remedy="see logs/ of the run, and Ray's for a crash or an out-of-memory kill, then "
                "--retry-failed",
            )
            return attempt, self._fail(task, "worker", problem)
        self._wait(died)
        while True:
            try:
                pixels = unpack(row)
                _check(task, pixels)
            except Exception as problem:  # noqa: BLE001  reading again gives the same bytes
                return attempt, self._fail(task, "read", problem)
            try:
                return attempt, self._evaluator.evaluate(task, pixels)
            except Exception as problem:  # noqa: BLE001  a unit must not stop the others
                log.warning("unit %s, attempt %d: %s", task.unit_id, attempt, text_of(problem))
                if attempt >= self._assignment.attempts:
                    return attempt, self._fail(task, "evaluate", problem)
            self._wait(attempt)
            attempt += 1

    def _wait(self, failures: int) -> None:
        """What failed for lack of memory, or of a file server, may go better a little later."""
        if failures:
            time.sleep(min(LONGEST_DELAY_S, self._assignment.delay_s * 2 ** (failures - 1)))
            self._watchdog.beat()

    def _fail(self, task: UnitTask, stage: str, problem: Exception) -> list[CellRows]:
        given = self._assignment
        return fail_cells(given.study, given.cards, task, task.cells, stage, problem)

    def _commit(self, task: UnitTask, cells: Sequence[CellRows], attempts: int) -> list[CellRows]:
        """Commit cells; returns what was committed."""
        return [self._commit_one(task, rows, attempts) for rows in cells]

    def _commit_one(self, task: UnitTask, rows: CellRows, attempts: int) -> CellRows:
        """Commit a cell; rows that the ledger refuses are replaced by failure rows.

        Raises:
            OSError, UserError: the run cannot be written, or is another driver's.
        """
        try:
            self._write(rows, attempts)
        except (OSError, UserError):
            raise
        except Exception as problem:  # noqa: BLE001  a cell must not stop the others
            given = self._assignment
            log.warning("%s is refused: %s", rows.planned.cell, text_of(problem))
            rows = fail_cells(given.study, given.cards, task, [rows.planned], "commit", problem)[0]
            self._write(rows, attempts)
        return rows

    def _write(self, rows: CellRows, attempts: int) -> None:
        info = {
            "worker": self._worker,
            "pid": os.getpid(),
            "attempts": attempts,
            "seconds": dict(rows.seconds),
            "peak_memory_bytes": peak_memory_bytes(),
            "numerics": self._numerics.as_record(),
        }
        self._store.commit(
            rows.planned.cell,
            rows.planned.identity,
            part_tables(rows.tables),
            info,
            expected=rows.planned.expected,
        )


def _unwritable(problem: OSError) -> UserError:
    return UserError(
        "a worker cannot write the run directory",
        got=text_of(problem),
        expected="a folder every worker can write, with space left",
        remedy="make room, then run the same command again: it resumes",
    )


def _check(task: UnitTask, pixels: Sequence[SlicePixels]) -> None:
    """Refuse pixels that are not those of the catalog; a part of a unit has no checksum."""
    if task.complete and (found := data_sha256(pixels)) != task.data_sha256:
        raise CorruptDataError(
            "the stored pixels are not those the catalog describes",
            where=task.unit_id,
            got=f"SHA-256 {found}",
            expected=task.data_sha256,
            remedy="ingest the dataset again",
        )


def own_numerics(assignment: Assignment) -> Numerics:
    """What this worker computes with.

    Raises:
        SamscopeError: it differs from the plan's, and the study does not admit that.
    """
    study = assignment.study
    here = numerics_of(assignment.device, study.precision)
    if not study.mixed_numerics:
        _same("numerics", here.as_record(), assignment.numerics.as_record())
    return here


def load_models(assignment: Assignment) -> dict[str, Model]:
    """The study's models on this worker's device.

    Raises:
        SamscopeError: this worker's weights differ from the plan's.
    """
    study, device = assignment.study, assignment.device
    models = {}
    for choice in study.models:
        model = load_model(choice, device, study.precision)
        planned = assignment.cards[choice.name]
        _same(f"weights of '{choice.name}'", model.card.weights_sha256, planned.weights_sha256)
        models[choice.name] = model
    return models


def _same(what: str, got: object, expected: object) -> None:
    if got != expected:
        raise SamscopeError(
            f"the {what} on this worker differ from the plan's",
            where=socket.gethostname(),
            got=got,
            expected=expected,
            remedy="run on machines of one kind, with the same files and package versions; a study "
            "with `mixed_numerics: true` admits several kinds",
        )
