"""One worker and one unit at a time, without Ray: what is committed, retried, refused."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from worlds import ONLY_FAKE, write_study

import engine.evaluate
import engine.pipeline.actor
from engine.collection.contract import SlicePixels
from engine.collection.reading import read_slices
from engine.errors import SamscopeError
from engine.evaluate import Evaluator
from engine.evaluation.rows import CellRows
from engine.finaliser import finalise
from engine.models.numerics import numerics_of
from engine.pipeline.actor import Assignment, EvaluatorActor, load_models
from engine.pipeline.cluster import connected
from engine.pipeline.datasource import read_unit
from engine.pipeline.receipt import RECEIPT
from engine.pipeline.run import _coverage
from engine.pipeline.stream import stream
from engine.planning.ground import Planning, plan_study, read_study
from engine.planning.plan import UnitTask, algorithm_versions
from engine.results.attempts import FOLDER, Attempt, at_work, begin, forget_all, of_unit
from engine.results.manifest import Manifest
from engine.results.parts import PartStore
from engine.results.rows import part_tables
from engine.runs import RunDir
from engine.study import Runtime

TRIALS = 4 * (1 + 3 + 3)
"""Of a unit: 2 slices with 2 objects; Everything once, two prompted strategies three times."""


@dataclass
class Desk:
    """A planned study with its run directory."""

    planning: Planning
    run: RunDir

    @property
    def task(self) -> UnitTask:
        return self.planning.plan.units[0]

    @property
    def store(self) -> PartStore:
        return PartStore(self.run.path, algorithm_versions())

    def assignment(self, attempts: int = 2) -> Assignment:
        plan = self.planning.plan
        return Assignment(
            plan.study, "cpu", str(self.run.path), plan.cards, plan.numerics, attempts, delay_s=0.01
        )

    def work(
        self, task: UnitTask | None = None, attempts: int = 2, given: Assignment | None = None
    ) -> dict[str, Any]:
        """The receipt of one unit."""
        row = read_unit(str(self.planning.collection), (task or self.task).pack())
        table = EvaluatorActor(given or self.assignment(attempts))(row)
        assert table.schema == RECEIPT
        (receipt,) = table.to_pylist()
        return dict(receipt)

    def manifests(self) -> dict[str, Manifest]:
        """The ledger's manifests by strategy; their files must be whole."""
        found = list(self.store.manifests())
        assert all(self.store.problem(manifest) is None for manifest in found)
        return {manifest.cell.strategy: manifest for manifest in found}

    def table(self, strategy: str, name: str) -> pa.Table | None:
        """A committed part; None where the cell has none of that name."""
        for part in self.manifests()[strategy].files:
            if part.table == name:
                return pq.read_table(self.run.path / part.name)
        return None

    def failures(self) -> list[dict[str, Any]]:
        """Failure rows of all committed cells."""
        tables = [self.table(strategy, "failures") for strategy in self.manifests()]
        return [row for table in tables if table is not None for row in table.to_pylist()]

    def rows(self) -> dict[str, CellRows]:
        """What the evaluator says of the first unit, by strategy."""
        evaluator = Evaluator(
            self.planning.plan.study, load_models(self.assignment()), self.planning.plan.numerics
        )
        pixels = read_slices(str(self.planning.collection), self.task.slices)
        return {c.planned.cell.strategy: c for c in evaluator.evaluate(self.task, pixels)}


@pytest.fixture
def desk(collection: Path, tmp_path: Path) -> Desk:
    study = read_study(write_study(tmp_path, ONLY_FAKE))
    run = RunDir.prepare(tmp_path / "run", collection)
    run.begin(study)
    return Desk(plan_study(study, collection, numerics_of("cpu")), run)


def fail_first(monkeypatch: pytest.MonkeyPatch, times: int) -> list[str]:
    """Make the evaluator raise the first `times` times; returns the list of all its calls."""
    calls: list[str] = []
    evaluate = Evaluator.evaluate

    def stumbling(self: Evaluator, task: UnitTask, pixels: Sequence[SlicePixels]) -> list[CellRows]:
        calls.append(task.unit_id)
        if len(calls) <= times:
            raise MemoryError(f"asked to fail, {len(calls)}")
        return evaluate(self, task, pixels)

    monkeypatch.setattr(Evaluator, "evaluate", stumbling)
    return calls


def assert_all_failed(desk: Desk, stage: str, error: str) -> list[dict[str, Any]]:
    """Every expected trial of the unit is committed as a failure."""
    manifests = desk.manifests()
    assert {m.cell for m in manifests.values()} == {p.cell for p in desk.task.cells}
    for planned in desk.task.cells:
        manifest = manifests[planned.cell.strategy]
        assert manifest.identity == planned.identity
        assert (manifest.expected, manifest.done, manifest.failed) == (
            planned.expected, 0, planned.expected
        )  # fmt: skip
        if not planned.cell.is_factors:
            table = desk.table(planned.cell.strategy, "trials")
            assert table is not None
            assert table["status"].to_pylist() == ["failed"] * planned.expected
            areas = {o.object_id: o.area_px for s in desk.task.slices for o in s.objects}
            sizes = zip(table["object_id"].to_pylist(), table["gt_px"].to_pylist(), strict=True)
            assert all(areas[name] == size for name, size in sizes)
    failures = desk.failures()
    assert {(row["stage"], row["error"]) for row in failures} == {(stage, error)}
    assert sum(row["n_trials"] for row in failures) == TRIALS + 4
    return failures


def test_a_unit_is_committed_as_evaluated(desk: Desk) -> None:
    receipt = desk.work()
    assert receipt.pop("seconds") > 0
    assert receipt.pop("worker")
    assert receipt.pop("peak_memory_bytes") > 10**7
    spent = dict(receipt.pop("stages"))
    assert spent.pop("commit") > 0
    assert receipt == {
        "unit_id": desk.task.unit_id, "slices": 2, "cells": 4, "done": TRIALS, "failed": 0,
        "stopped": None,
        "failures": [], "attempts": 1, "lost": [], "helper": False, "recycled": None,
    }  # fmt: skip
    manifests, expected = desk.manifests(), desk.rows()
    assert manifests.keys() == expected.keys() == {"factors", "everything", "point_1", "box"}
    for strategy, rows in expected.items():
        manifest = manifests[strategy]
        assert (manifest.cell, manifest.identity) == (rows.planned.cell, rows.planned.identity)
        assert (manifest.done, manifest.failed) == (rows.planned.expected, 0)
        assert (manifest.info["attempts"], bool(manifest.info["worker"])) == (1, True)
        assert manifest.info["peak_memory_bytes"] > 10**7
        wanted = {name: table for name, table in part_tables(rows.tables).items() if len(table)}
        assert {part.table for part in manifest.files} == wanted.keys()
        for name, table in wanted.items():
            stored = desk.table(strategy, name)
            assert stored is not None
            assert stored.cast(table.schema).equals(table)
    stages = {"everything": {"embed", "decode", "score"}, "factors": {"factors"},
              "point_1": {"prompt", "decode", "score"}}  # fmt: skip
    for strategy, known in stages.items():
        assert manifests[strategy].info["seconds"].keys() == known


def test_only_the_cells_asked_for_are_evaluated(desk: Desk) -> None:
    cells = tuple(c for c in desk.task.cells if c.cell.strategy == "box")
    receipt = desk.work(replace(desk.task, cells=cells))
    assert (receipt["cells"], receipt["done"]) == (1, 12)
    assert desk.manifests().keys() == {"box"}


def test_a_second_attempt_gives_what_the_first_would_have(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = desk.rows()
    calls = fail_first(monkeypatch, 1)
    receipt = desk.work()
    assert calls == [desk.task.unit_id] * 2
    assert (receipt["attempts"], receipt["done"], receipt["failed"]) == (2, TRIALS, 0)
    assert {manifest.info["attempts"] for manifest in desk.manifests().values()} == {2}
    for strategy, rows in expected.items():
        name = "factors" if rows.planned.cell.is_factors else "trials"
        wanted = part_tables(rows.tables)[name]
        stored = desk.table(strategy, name)
        assert stored is not None
        assert stored.cast(wanted.schema).equals(wanted)


@pytest.mark.parametrize("attempts", [1, 3])
def test_after_the_last_attempt_every_trial_is_a_failure(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, attempts: int
) -> None:
    calls = fail_first(monkeypatch, 99)
    receipt = desk.work(attempts=attempts)
    assert len(calls) == attempts
    assert receipt["attempts"] == attempts
    assert (receipt["done"], receipt["failed"]) == (0, TRIALS), "factors are not trials"
    failures = assert_all_failed(desk, "evaluate", "MemoryError")
    assert failures[0]["message"] == f"asked to fail, {attempts}", "the last problem is told"


def test_other_pixels_than_the_catalog_describes_are_failures(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = fail_first(monkeypatch, 0)
    assert desk.task.complete
    receipt = desk.work(replace(desk.task, data_sha256="0" * 64))
    assert not calls, "wrong pixels reach no model"
    assert (receipt["done"], receipt["failed"]) == (0, TRIALS)
    failures = assert_all_failed(desk, "read", "CorruptDataError")
    assert "0" * 64 in failures[0]["message"]


def test_a_part_of_a_unit_has_no_checksum_to_compare(desk: Desk) -> None:
    part = replace(desk.task, data_sha256="0" * 64, complete=False)
    assert desk.work(part)["done"] == TRIALS


def test_a_unit_that_cannot_be_read_says_why(desk: Desk) -> None:
    lost = tuple(replace(ref, array_path="toy/nowhere") for ref in desk.task.slices)
    receipt = desk.work(replace(desk.task, slices=lost))
    assert (receipt["done"], receipt["failed"]) == (0, TRIALS)
    failures = desk.failures()
    assert {row["stage"] for row in failures} == {"read"}
    assert {row["error"] for row in failures} != {"RemoteError"}, "the error's own type"
    assert "nowhere" in failures[0]["message"]


def test_rows_that_the_ledger_refuses_fail_their_cell_alone(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate = Evaluator.evaluate

    def forgetful(self: Evaluator, *given: Any) -> list[CellRows]:
        cells = evaluate(self, *given)
        for rows in cells:
            if rows.planned.cell.strategy == "box":
                rows.tables["trials"].pop()
        return cells

    monkeypatch.setattr(Evaluator, "evaluate", forgetful)
    receipt = desk.work()
    assert (receipt["done"], receipt["failed"]) == (TRIALS - 12, 12)
    assert desk.manifests()["box"].failed == 12
    assert {(row["strategy"], row["stage"]) for row in desk.failures()} == {("box", "commit")}


def test_a_full_disk_stops_the_worker(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> bool:
        raise OSError(28, "no space left on device")

    monkeypatch.setattr(PartStore, "commit", full)
    receipt = desk.work()
    assert "no space left" in receipt["stopped"]
    assert not desk.manifests()


def test_a_clock_that_jumps_changes_no_row(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A day back, ten years ahead and before 1970: wall clocks are told, and decide nothing."""
    now = time.time()
    jumps = itertools.cycle([now, now - 86_400, now + 3e8, 0.0, -1e6])
    monkeypatch.setattr(time, "time", lambda: next(jumps))
    for task in desk.planning.plan.units:
        assert desk.work(task)["done"] == TRIALS
    finalise(desk.run, desk.planning)
    expected, done, failed, pending, _ = _coverage(desk.run.path)
    assert (done, failed, pending) == (expected, 0, 0)
    assert done == TRIALS * len(desk.planning.plan.units)


def test_a_committed_cell_is_not_committed_again(desk: Desk) -> None:
    desk.work()
    before = desk.manifests()
    desk.work()
    assert desk.manifests() == before


def test_a_unit_that_killed_its_workers_is_given_up(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = fail_first(monkeypatch, 0)
    for _ in range(2):
        begin(desk.store.store, Attempt(desk.task.unit_id))
    receipt = desk.work(attempts=2)
    assert not calls
    assert (receipt["done"], receipt["failed"]) == (0, TRIALS)
    assert_all_failed(desk, "worker", "SamscopeError")


def test_a_dead_worker_counts_as_an_attempt(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = fail_first(monkeypatch, 99)
    begin(desk.store.store, Attempt(desk.task.unit_id))
    begin(desk.store.store, Attempt("another unit"))
    receipt = desk.work(attempts=3)
    assert (len(calls), receipt["attempts"]) == (2, 3)


def test_attempts_are_forgotten_when_a_unit_is_done_or_a_driver_begins(desk: Desk) -> None:
    store, unit = desk.store.store, desk.task.unit_id
    begin(store, Attempt(unit))
    assert desk.work()["attempts"] == 2
    assert begin(store, Attempt(unit)) == [], "the unit is committed"
    assert len(begin(store, Attempt(unit))) == 1
    forget_all(store)
    assert begin(store, Attempt(unit)) == []


def test_a_worker_lost_with_its_machine_is_no_attempt(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Spot machines are taken back: a unit that was on three of them is not a bad unit."""
    monkeypatch.setattr(engine.pipeline.actor, "lost", lambda node: node == "gone")
    for _ in range(3):
        begin(desk.store.store, Attempt(desk.task.unit_id, node="gone"))
    begin(desk.store.store, Attempt(desk.task.unit_id, node="here"))
    receipt = desk.work(attempts=2)
    assert (receipt["attempts"], receipt["done"], receipt["failed"]) == (2, TRIALS, 0)


def test_what_is_at_work_is_known(desk: Desk) -> None:
    store = desk.store.store
    assert at_work(store) == []
    late, early = Attempt("b/c", "n", "host:1", 20.0), Attempt("a", "n", "host:2", 10.0)
    begin(store, late)
    begin(store, Attempt("a", "n", "host:3", 5.0))
    begin(store, early)
    assert at_work(store) == [early, late]
    store.put(f"{FOLDER}/a/0", b"damaged")
    assert of_unit(store, "a") == [Attempt("a"), early]


def test_a_unit_is_tried_again_after_longer_and_longer(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(engine.pipeline.actor.time, "sleep", slept.append)
    fail_first(monkeypatch, 99)
    desk.work(attempts=10)
    assert slept == [0.01 * 2**k for k in range(9)]
    slept.clear()
    for _ in range(3):
        begin(desk.store.store, Attempt("other"))
        begin(desk.store.store, Attempt(desk.planning.plan.units[1].unit_id))
    desk.work(desk.planning.plan.units[1], attempts=4)
    assert slept == [0.04], "after three deaths"
    monkeypatch.setattr(engine.pipeline.actor, "LONGEST_DELAY_S", 0.02)
    slept.clear()
    desk.work(desk.planning.plan.units[2], attempts=5)
    assert slept == [0.01, 0.02, 0.02, 0.02]


def test_other_weights_than_planned_are_refused(desk: Desk) -> None:
    given = desk.assignment()
    cards = {"fake": replace(given.cards["fake"], weights_sha256="0" * 64)}
    receipt = desk.work(given=replace(given, cards=cards))
    assert "weights of 'fake' on this worker differ" in receipt["stopped"]
    assert "expected: " + "0" * 64 in receipt["stopped"]
    assert not desk.manifests()


def test_other_numerics_than_planned_are_refused(desk: Desk) -> None:
    given = desk.assignment()
    other = replace(given.numerics, kernels="torch-0.0")
    receipt = desk.work(given=replace(given, numerics=other))
    assert "numerics on this worker differ" in receipt["stopped"]
    assert not desk.manifests()


@pytest.mark.ray
def test_why_a_worker_stops_reaches_the_driver_in_words(ray_session: str, desk: Desk) -> None:
    """Of an exception Ray brings neither type nor cause: it would look like a bug of ours."""
    given, tasks = desk.assignment(), desk.planning.plan.units
    wrong = replace(given, numerics=replace(given.numerics, kernels="torch-0.0"))
    with connected(Runtime(actors=1)), pytest.raises(SamscopeError) as caught:
        list(stream(str(desk.planning.collection), tasks, wrong, 1))
    assert str(caught.value).startswith("the numerics on this worker differ from the plan's")
    assert "torch-0.0" in str(caught.value)
    assert "remedy: run on machines of one kind" in str(caught.value)


def test_failed_factors_are_no_trials_but_are_counted(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> dict[str, Any]:
        raise ValueError("asked to fail")

    monkeypatch.setattr(engine.evaluate, "compute_factors", broken)
    units = desk.planning.plan.units
    for task in units[:-1]:
        receipt = desk.work(task)
        assert (receipt["done"], receipt["failed"]) == (TRIALS, 0)
    finalise(desk.run, desk.planning)
    expected, done, failed, pending, without_factors = _coverage(desk.run.path)
    assert (expected, failed, pending) == (TRIALS * len(units), 0, TRIALS)
    assert done == expected - pending
    assert without_factors == 4 * (len(units) - 1)
