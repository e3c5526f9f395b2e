"""The evaluator actor: one per GPU or CPU share; scores whole units and commits them."""

from __future__ import annotations

import logging
import os
import resource
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from engine.collection.checksum import data_sha256
from engine.collection.contract import SlicePixels
from engine.errors import CorruptDataError, SamscopeError
from engine.evaluate import Evaluator, fail_unit
from engine.models.base import Card, Model
from engine.models.numerics import Numerics, deterministic_cpu, numerics_of
from engine.models.registry import load_model
from engine.pipeline.datasource import unpack, unpack_task
from engine.plan import UnitTask
from engine.results.parts import PartStore
from engine.results.rows import part_tables
from engine.rows import CellRows
from engine.study import Study

log = logging.getLogger(__name__)

RECEIPT = pa.schema(
    [
        pa.field("unit_id", pa.string()),
        pa.field("slices", pa.int64()),
        pa.field("cells", pa.int64()),
        pa.field("done", pa.int64()),  # trials
        pa.field("failed", pa.int64()),  # trials
        pa.field("seconds", pa.float64()),
        pa.field("attempts", pa.int64()),
        pa.field("worker", pa.string()),
    ]
)


@dataclass(frozen=True)
class Assignment:
    """What every actor of a run shares.

    Attributes:
        cards, numerics: what the plan's identities were computed from; an actor that would
            compute anything else refuses to start.
    """

    study: Study
    device: str
    run_dir: str
    cards: Mapping[str, Card]
    numerics: Numerics
    attempts: int = 2


class EvaluatorActor:
    """Loads the models once; each call evaluates and commits one unit, then returns its receipt."""

    def __init__(self, assignment: Assignment) -> None:
        self._assignment = assignment
        self._worker = f"{socket.gethostname()}:{os.getpid()}"
        self._store = PartStore(Path(assignment.run_dir))
        if assignment.device == "cpu":
            deterministic_cpu()
        self._evaluator = Evaluator(assignment.study, load_models(assignment), assignment.numerics)

    def __call__(self, row: pa.Table) -> pa.Table:
        started = time.perf_counter()
        task = unpack_task(row)
        attempts, cells = self._evaluate(task, row)
        seconds = time.perf_counter() - started
        for rows in cells:
            self._commit(rows, attempts)
        receipt = {
            "unit_id": task.unit_id,
            "slices": len(task),
            "cells": len(cells),
            "done": sum(rows.done for rows in cells if not rows.planned.cell.is_factors),
            "failed": sum(rows.failed for rows in cells),
            "seconds": seconds,
            "attempts": attempts,
            "worker": self._worker,
        }
        return pa.Table.from_pylist([receipt], schema=RECEIPT)

    def _evaluate(self, task: UnitTask, row: pa.Table) -> tuple[int, list[CellRows]]:
        """Try a unit a few times; what still fails becomes failure rows."""
        given = self._assignment
        attempt = 1
        while True:
            try:
                pixels = unpack(row)
                _check(task, pixels)
                return attempt, self._evaluator.evaluate(task, pixels)
            except Exception as problem:  # noqa: BLE001  a unit must not stop the others
                log.warning("unit %s, attempt %d: %s", task.unit_id, attempt, problem)
                if attempt >= given.attempts:
                    return attempt, fail_unit(given.study, given.cards, task, "read", problem)
            attempt += 1

    def _commit(self, rows: CellRows, attempts: int) -> None:
        info = {
            "worker": self._worker,
            "attempts": attempts,
            "seconds": dict(rows.seconds),
            "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        }
        self._store.commit(
            rows.planned.cell,
            rows.planned.identity,
            part_tables(rows.tables),
            info,
            expected=rows.planned.expected,
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


def load_models(assignment: Assignment) -> dict[str, Model]:
    """The study's models on this worker's device.

    Raises:
        SamscopeError: this worker's weights or numerics differ from the plan's.
    """
    here = numerics_of(assignment.device)
    _same("numerics", here.as_record(), assignment.numerics.as_record())
    models = {}
    for choice in assignment.study.models:
        model = load_model(choice, assignment.device)
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
            remedy="run on machines of one kind, with the same files and package versions",
        )
