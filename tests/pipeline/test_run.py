"""The same study, run in different ways, gives the same results to the bit."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from rich.console import Console
from worlds import INFO, ONLY_FAKE, STUDY, toy_collection, volume, write_study

from engine.analysis import QUESTIONS, run
from engine.collection.case import CuratedCase
from engine.collection.ingest import ingest_cases
from engine.commands.report import report_command
from engine.commands.status import status_command
from engine.errors import UserError
from engine.pipeline.events import NAME, read_events
from engine.pipeline.run import run_study
from engine.results.parts import PartStore
from engine.results.query import connect, run_sql
from engine.runs import driver_lock
from engine.study import Runtime

pytestmark = pytest.mark.ray

SLOW = "seconds_per_slice: 0.5\n"


def results(run: Path) -> pa.Table:
    return run_sql(run, "FROM results ORDER BY ALL")


@pytest.fixture(scope="module")
def undisturbed(
    ray_session: str, collection: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("one")
    study = write_study(folder)
    outcome = run_study(study, collection, folder / "run", Runtime(actors=1), Console(quiet=True))
    assert outcome.exit_code == 0
    # 3 cases x 4 slices x 2 objects; Everything 1 trial, three prompted strategies 3 each; 2 models
    assert (outcome.expected, outcome.done) == (24 * 10 * 2, 24 * 10 * 2)
    return folder / "run"


@pytest.mark.timeout(240)
def test_as_many_actors_as_cpus_give_the_same_results(
    undisturbed: Path, collection: Path, tmp_path: Path, console: Console
) -> None:
    """Two actors on two CPUs: this hung when read tasks asked for a CPU each."""
    study = write_study(tmp_path)
    run_study(study, collection, tmp_path / "run", Runtime(actors=2), console)
    workers = run_sql(tmp_path / "run", "SELECT DISTINCT worker FROM units")
    assert len(workers) == 2
    assert results(tmp_path / "run").equals(results(undisturbed))


def test_events_add_up_to_the_ledger(undisturbed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    units = events(undisturbed, "unit")
    manifests = list(PartStore(undisturbed).manifests())
    trials = [m for m in manifests if not m.cell.is_factors]
    assert {u["unit_id"] for u in units} == {m.cell.unit_id for m in manifests}
    assert sum(u["done"] for u in units) == sum(m.done for m in trials)
    assert sum(u["failed"] for u in units) == sum(m.failed for m in trials)
    assert sum(u["cells"] for u in units) == len(manifests)
    for stage in ("embed", "decode", "score", "factors"):
        told = sum(u["stages"][stage] for u in units)
        assert told == pytest.approx(sum(m.info["seconds"].get(stage, 0) for m in manifests))
    (begun,), (ended,) = events(undisturbed, "pass_begun"), events(undisturbed, "run_ended")
    assert (begun["trials"], begun["units"]) == (ended["done"], len(units))
    assert begun["slices"] == sum(u["slices"] for u in units)
    assert status_command(undisturbed) == 0
    said = capsys.readouterr().out
    assert "'toy': finished" in said
    assert "6 of 6 units, 12 of 12 slices" in said


def test_every_question_has_an_answer_kept_by_the_finaliser(undisturbed: Path) -> None:
    """Of squares and discs, many of whose factors are the same: undefined is null, never NaN."""
    kept = {name for name, question in QUESTIONS.items() if question.kept}
    found = run_sql(undisturbed, "SELECT question FROM answers.made_from").to_pydict()
    assert set(found["question"]) == kept
    with connect(undisturbed) as connection:
        for name in QUESTIONS:
            rows = run(connection, name).to_pylist()
            assert rows or name in ("failures", "exclusions", "tuning"), name
            numbers = [v for row in rows for v in row.values() if isinstance(v, float)]
            assert all(isfinite(number) for number in numbers), name
        factors = run(connection, "factors").to_pylist()
    assert any(row["spearman"] is None for row in factors)
    assert any(row["spearman_lo"] is not None for row in factors)


def test_a_finished_run_runs_nothing_again(
    undisturbed: Path, collection: Path, tmp_path: Path, console: Console
) -> None:
    before = results(undisturbed)
    outcome = run_study(write_study(tmp_path), collection, undisturbed, Runtime(), console)
    assert outcome.units_run == 0
    assert results(undisturbed).equals(before)


def test_the_report_replays_its_gallery_from_the_run(
    undisturbed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every picked mask is decoded again and must have the counts that were stored."""
    assert report_command(undisturbed) == 0
    said = capsys.readouterr()
    assert said.err == ""
    # two models, four strategies; best, median, worst
    assert len(list((undisturbed / "gallery").glob("*.png"))) == 2 * 4 * 3
    assert (undisturbed / "report.html").stat().st_size > 1_000_000


def test_a_torn_part_is_set_aside_and_redone(
    undisturbed: Path, collection: Path, tmp_path: Path, console: Console
) -> None:
    before = results(undisturbed)
    victim = next(m for m in PartStore(undisturbed).manifests() if m.cell.strategy == "box")
    part = undisturbed / victim.files[0].name
    part.write_bytes(part.read_bytes()[:-10])
    outcome = run_study(write_study(tmp_path), collection, undisturbed, Runtime(), console)
    assert (outcome.units_run, outcome.done) == (1, outcome.expected)
    assert results(undisturbed).equals(before)
    (aside,) = events(undisturbed, "set_aside")
    assert aside["manifest"] == victim.name


def test_a_byte_that_changed_is_found_by_the_finaliser_and_redone_in_the_same_run(
    undisturbed: Path, collection: Path, tmp_path: Path, console: Console
) -> None:
    """The file keeps its length, so a look at the ledger cannot see it."""
    run = Path(shutil.copytree(undisturbed, tmp_path / "run", symlinks=True))
    for database in run.glob("results*"):
        database.unlink()  # or the rows in it would be taken, rightly, and no file be read
    victim = next(m for m in PartStore(run).manifests() if m.cell.strategy == "box")
    part = run / victim.files[0].name
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1
    part.write_bytes(data)
    outcome = run_study(write_study(tmp_path), collection, run, Runtime(actors=1), console)
    assert (outcome.units_run, outcome.done, outcome.exit_code) == (1, outcome.expected, 0)
    assert results(run).equals(results(undisturbed))


def test_a_new_strategy_runs_only_what_is_new(
    undisturbed: Path, collection: Path, tmp_path: Path, console: Console
) -> None:
    run = Path(shutil.copytree(undisturbed, tmp_path / "run", symlinks=True))
    old = {m.attempt for m in PartStore(run).manifests()}
    study = write_study(tmp_path, STUDY.replace("- point_1\n", "- point_1\n  - box_point_1\n"))
    outcome = run_study(study, collection, run, Runtime(actors=1), console)
    manifests = list(PartStore(run).manifests())
    assert {m.cell.strategy for m in manifests if m.attempt not in old} == {"box_point_1"}
    assert old < {m.attempt for m in manifests}
    assert outcome.pending == outcome.failed == 0


def test_failures_are_rows_and_coverage_adds_up(
    ray_session: str, collection: Path, tmp_path: Path, console: Console
) -> None:
    """`block` begins in column 6: such a box fails, its neighbours in the batch do not."""
    study = write_study(tmp_path, ONLY_FAKE, fake="fail_on_x: 6\n")
    outcome = run_study(study, collection, tmp_path / "run", Runtime(actors=1), console)
    assert outcome.exit_code == 1
    assert outcome.failed > 0
    assert outcome.expected == outcome.done + outcome.failed
    coverage = run_sql(tmp_path / "run", "FROM coverage").to_pylist()
    assert all(r["expected"] == r["done"] + r["failed"] + r["pending"] for r in coverage)
    failures = run_sql(tmp_path / "run", "FROM failures").to_pylist()
    assert {f["error"] for f in failures} == {"FakeFailureError"}
    assert {f["object_id"].split("/")[3] for f in failures} == {"block"}
    assert sum(f["n_trials"] for f in failures) == outcome.failed
    statuses = run_sql(
        tmp_path / "run",
        "SELECT status, count(*) n, count(dice) defined FROM results GROUP BY ALL ORDER BY ALL",
    ).to_pylist()
    assert {s["status"]: s["defined"] == 0 for s in statuses}["failed"]

    write_study(tmp_path, ONLY_FAKE)  # the cause is repaired; failed cells run again when asked
    again = run_study(study, collection, tmp_path / "run", Runtime(actors=1), console)
    assert again.units_run == 0
    retried = run_study(
        study, collection, tmp_path / "run", Runtime(actors=1, retry_failed=True), console
    )
    assert (retried.failed, retried.done) == (0, retried.expected)


def test_an_unreadable_unit_becomes_failure_rows(
    ray_session: str, tmp_path: Path, console: Console
) -> None:
    collection = toy_collection(tmp_path / "toy.zarr", cases=2, slices=2)
    shard = next(
        p
        for p in (collection / "toy/case0/labels").rglob("*")
        if p.is_file() and p.name != "zarr.json"
    )
    shard.write_bytes(b"damaged")
    study = write_study(tmp_path, ONLY_FAKE)
    outcome = run_study(study, collection, tmp_path / "run", Runtime(actors=1), console)
    assert outcome.expected == outcome.done + outcome.failed
    assert outcome.failed == outcome.expected // 2
    errors = run_sql(tmp_path / "run", "SELECT DISTINCT stage, error FROM failures").to_pylist()
    assert errors == [{"stage": "read", "error": "CorruptDataError"}]


@pytest.mark.timeout(240)
def test_a_unit_that_kills_its_workers_becomes_failure_rows(
    ray_session: str, tmp_path: Path, console: Console
) -> None:
    """Ray would restart the worker and hand it the same unit for ever."""
    collection = toy_collection(tmp_path / "toy.zarr", cases=1, slices=2)
    ingest_cases(replace(INFO, dataset="wide"), [wide()], collection)
    study = write_study(tmp_path, ONLY_FAKE, fake="die_on_width: 80\n")
    outcome = run_study(study, collection, tmp_path / "run", Runtime(actors=1), console)
    assert outcome.expected == outcome.done + outcome.failed
    failed = run_sql(
        tmp_path / "run",
        "SELECT stage, dataset, count(*) n FROM failures JOIN slices USING (slice_id)"
        " JOIN cases USING (case_id) WHERE model = 'fake' GROUP BY ALL",
    ).to_pylist()
    assert [(f["stage"], f["dataset"]) for f in failed] == [("worker", "wide")]
    assert [event["how"] for event in events(tmp_path / "run", "worker_lost")] == ["died"] * 2
    assert not list((tmp_path / "run/parts/_attempts").rglob("[0-9]*"))


@pytest.mark.timeout(240)
def test_a_unit_that_hangs_is_given_up_and_the_others_go_on(
    ray_session: str, tmp_path: Path, console: Console
) -> None:
    collection = toy_collection(tmp_path / "toy.zarr", cases=1, slices=2)
    ingest_cases(replace(INFO, dataset="wide"), [wide()], collection)
    study = write_study(tmp_path, ONLY_FAKE, fake="hang_on_width: 80\n")
    runtime = Runtime(actors=1, patience_s=2.0)
    outcome = run_study(study, collection, tmp_path / "run", runtime, console)
    assert outcome.expected == outcome.done + outcome.failed
    failed = run_sql(tmp_path / "run", "SELECT DISTINCT stage, message FROM failures").to_pylist()
    assert [f["stage"] for f in failed] == ["worker"]
    assert "sign of life" in failed[0]["message"]
    told = [path.read_text() for path in (tmp_path / "run/logs").glob("stalled-*.txt")]
    assert len(told) == 2
    assert all("fake.py" in text for text in told)
    assert [event["how"] for event in events(tmp_path / "run", "worker_lost")] == ["stalled"] * 2


@pytest.mark.timeout(240)
def test_workers_that_start_anew_lose_nothing(
    ray_session: str, plain: Path, collection: Path, tmp_path: Path, console: Console
) -> None:
    study = write_study(tmp_path, ONLY_FAKE)
    runtime = Runtime(actors=1, recycle_units=3)
    outcome = run_study(study, collection, tmp_path / "run", runtime, console)
    assert outcome.exit_code == 0
    assert results(tmp_path / "run").equals(results(plain))
    units = run_sql(tmp_path / "run", "SELECT pid, count(DISTINCT unit_id) n FROM units GROUP BY 1")
    assert max(units["n"].to_pylist()) <= 3
    assert len(units) >= 2
    recycled = events(tmp_path / "run", "worker_recycled")
    assert {event["why"] for event in recycled} == {"3 units done"}
    assert len(recycled) == 2


def events(run: Path, kind: str) -> list[dict[str, Any]]:
    return [event for event in read_events(run / NAME) if event["event"] == kind]


def wide() -> CuratedCase:
    return replace(volume("wide", slices=1, size=80), dataset="wide")


@pytest.mark.timeout(240)
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_killed_in_the_middle_and_resumed(
    ray_session: str,
    undisturbed: Path,
    collection: Path,
    tmp_path: Path,
    console: Console,
    how: signal.Signals,
) -> None:
    """How slowly a model answers is no part of an identity.

    The killed driver leaves a cluster behind; the one that is asked to end has a Ray of its own,
    which must end with it.
    """
    study = write_study(tmp_path, fake=SLOW)
    run = tmp_path / "run"
    command = [
        sys.executable, "-m", "engine", "evaluate", str(study),
        "--collection", str(collection), "--out", str(run), "--actors", "2",
    ]  # fmt: skip
    env = {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"}
    command += ["--address", ray_session] if how is signal.SIGKILL else []
    driver = subprocess.Popen(
        command, env=env, start_new_session=True, stderr=subprocess.PIPE, text=True
    )
    try:
        _wait_for(lambda: len(list(PartStore(run).manifests())) >= 17, driver)
    finally:
        driver.send_signal(how)
        said = driver.communicate(timeout=30)[1]  # a spot machine has that long
    if how is signal.SIGTERM:
        assert driver.returncode == 1
        assert "stopped; what was committed is kept" in said
        assert "Traceback" not in said
    committed = len(list(PartStore(run).manifests()))
    outcome = run_study(study, collection, run, Runtime(actors=1), console)
    assert 0 < outcome.units_run < outcome.units_total, committed
    assert results(run).equals(results(undisturbed))


def _wait_for(ready: object, driver: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline:
        assert driver.poll() is None, "the driver ended before it could be killed"
        if callable(ready) and ready():
            return
        time.sleep(0.1)
    pytest.fail("nothing was committed in 200 s")


def test_a_second_driver_is_refused(collection: Path, tmp_path: Path, console: Console) -> None:
    study = write_study(tmp_path)
    (tmp_path / "run").mkdir()
    with driver_lock(tmp_path / "run"):
        with pytest.raises(UserError, match="another driver") as caught:
            run_study(study, collection, tmp_path / "run", Runtime(), console)
        assert str(os.getpid()) in str(caught.value)
