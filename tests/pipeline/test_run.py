"""The same study, run in different ways, gives the same results to the bit."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from rich.console import Console
from worlds import INFO, ONLY_FAKE, run_without_ray, toy_collection, volume, write_study

from dashboards.app.data import RunData
from dashboards.app.masks import Masks
from dashboards.app.view import Pick
from engine.analysis import QUESTIONS, run
from engine.cli import run as cli
from engine.collection.case import CuratedCase
from engine.collection.ingest import ingest_cases
from engine.commands.evaluate import without_masks
from engine.commands.report import report_command
from engine.commands.status import status_command
from engine.errors import UserError
from engine.pipeline.events import NAME, read_events
from engine.pipeline.run import Outcome, run_study
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
    """By as many actors as there are CPUs, which is the default."""
    folder = tmp_path_factory.mktemp("undisturbed")
    study = write_study(folder)
    outcome = run_study(study, collection, folder / "run", Runtime(), Console(quiet=True))
    assert outcome.exit_code == 0
    # 3 cases x 4 slices x 2 objects; Everything 1 trial, three prompted strategies 3 each; 2 models
    assert (outcome.expected, outcome.done) == (24 * 10 * 2, 24 * 10 * 2)
    return folder / "run"


def test_as_many_actors_as_cpus_give_the_results_of_a_plain_loop(
    undisturbed: Path, collection: Path, tmp_path: Path
) -> None:
    """Two actors on two CPUs: this hung when read tasks asked for a CPU each."""
    workers = run_sql(undisturbed, "SELECT DISTINCT worker FROM units")
    assert len(workers) == 2
    loop = run_without_ray(write_study(tmp_path), collection, tmp_path / "run")
    assert results(undisturbed).equals(results(loop))


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


def test_everything_that_keeps_nothing_is_explained(
    plain: Path, collection: Path, tmp_path: Path
) -> None:
    assert list(without_masks(plain)) == []
    strict = "{name: strict, kind: everything, params: {pred_iou_thresh: 0.999}}"
    study = write_study(tmp_path, ONLY_FAKE.replace("everything,", f"everything, {strict},"))
    (words,) = without_masks(run_without_ray(study, collection, tmp_path / "run"))
    assert words.startswith(
        "'strict' of 'fake' kept no mask on any slice: none has more than 0.999"
    )


def test_a_run_is_read_beside_a_collection_that_has_moved(
    plain: Path, collection: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(plain, tmp_path / "run", symlinks=True))
    about = run / "run.json"
    about.write_text(about.read_text().replace(str(collection), str(tmp_path / "gone")))
    assert cli(["report", str(run)]) == 0
    assert "say where it lies now: --collection" in capsys.readouterr().err
    assert not list((run / "gallery").glob("*.png"))
    page = (run / "report.html").read_bytes()
    grown = toy_collection(tmp_path / "grown.zarr", cases=4)
    foreign = tmp_path / "foreign.zarr"
    case = replace(volume("case0", slices=1), dataset="elsewhere")
    ingest_cases(replace(INFO, dataset="elsewhere"), [case], foreign)
    for place, said in (
        (tmp_path / "nope", "no collection here"),
        (foreign, "no data set toy; it has elsewhere"),
        (grown, "not quite"),
    ):
        code = cli(["report", str(run), "--collection", str(place)])
        assert said in " ".join(capsys.readouterr().err.split())
        assert code == (0 if place == grown else 2)
        if code:
            assert (run / "report.html").read_bytes() == page
    assert cli(["report", str(run), "--collection", str(collection)]) == 0
    assert capsys.readouterr().err == ""
    assert len(list((run / "gallery").glob("*.png"))) == 9
    data = RunData(run)
    (row,) = data.rows("SELECT object_id FROM objects ORDER BY 1 LIMIT 1")
    pick = Pick(row["object_id"], "fake", "box", "oracle")
    for where, there in ((None, False), (collection, True)):
        shown = Masks(data, where).show(pick)
        assert shown is not None
        assert (shown.image is not None) == there
    data.close()


def test_only_what_is_torn_changed_or_new_is_done_in_the_same_run(
    ray_session: str, plain: Path, collection: Path, tmp_path: Path, console: Console
) -> None:
    """A look at the ledger sees the torn part; the changed one, whose file keeps its length, is
    found only by the finaliser, which reads every byte.
    """
    run = Path(shutil.copytree(plain, tmp_path / "run", symlinks=True))
    for name in (*run.glob("results*"), run / NAME):
        name.unlink()  # or the rows in the database would be taken, rightly, and no file be read
    before = list(PartStore(run).manifests())
    torn, changed = [m for m in before if m.cell.strategy == "box"][:2]
    part = run / torn.files[0].name
    part.write_bytes(part.read_bytes()[:-10])
    part = run / changed.files[0].name
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1
    part.write_bytes(data)
    study = write_study(tmp_path, ONLY_FAKE.replace("point_1, ", "point_1, box_point_1, "))
    outcome = run_study(study, collection, run, Runtime(actors=1), console)
    assert (outcome.units_run, outcome.exit_code) == (6 + 1, 0)
    assert outcome.done == outcome.expected == 24 * 10

    after = list(PartStore(run).manifests())
    kept = {m.attempt for m in before} - {torn.attempt, changed.attempt}
    assert {m.attempt for m in after} > kept
    new = Counter(m.cell.strategy for m in after if m.attempt not in kept)
    assert new == {"box_point_1": 6, "box": 2}
    rows = run_sql(run, "FROM results WHERE strategy != 'box_point_1' ORDER BY ALL")
    assert rows.equals(results(plain))
    assert [
        event.get("manifest", event["event"])
        for event in read_events(run / NAME) if event["event"] != "unit"
    ] == [
        "run_begun", torn.name, "pass_begun", changed.name, "pass_begun", "run_ended"
    ]  # fmt: skip


WIDE, WIDER = 80, 96
FAULTS = f"fail_on_x: 6\ndie_on_width: {WIDE}\nhang_on_width: {WIDER}\n"
"""`block` begins in column 6: such a box fails, its neighbours in the batch do not."""


@pytest.fixture(scope="module")
def troubled(
    ray_session: str, plain: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Outcome]:
    """A run of units that cannot be read, kill their workers, hang, or fail in part.

    All in one: each worker that is lost costs the start of another. `plain` has compiled what an
    evaluator needs: a worker that is still at that shows no sign of life.
    """
    folder = tmp_path_factory.mktemp("troubled")
    collection = toy_collection(folder / "toy.zarr", cases=3, slices=2)
    ingest_cases(replace(INFO, dataset="wide"), [wide("wide", WIDE)], collection)
    ingest_cases(replace(INFO, dataset="wider"), [wide("wider", WIDER)], collection)
    damaged = shard(collection)
    damaged.rename(folder / "whole")
    damaged.write_bytes(b"damaged")
    runtime = Runtime(actors=1, patience_s=3.0)
    study = write_study(folder, ONLY_FAKE, fake=FAULTS)
    return folder, run_study(study, collection, folder / "run", runtime, Console(quiet=True))


def test_failures_are_rows_and_coverage_adds_up(troubled: tuple[Path, Outcome]) -> None:
    run, outcome = troubled[0] / "run", troubled[1]
    assert outcome.exit_code == 1
    assert outcome.expected == outcome.done + outcome.failed
    # of 2 slices x 2 objects x 7 trials each: case0 whole, and the boxes of the other two cases;
    # of the wide ones' single slice all
    assert outcome.expected == 3 * 28 + 2 * 14
    coverage = run_sql(run, "FROM coverage").to_pylist()
    assert all(r["expected"] == r["done"] + r["failed"] + r["pending"] for r in coverage)
    statuses = run_sql(
        run,
        "SELECT status, count(*) n, count(dice) defined FROM results GROUP BY ALL ORDER BY ALL",
    ).to_pylist()
    assert {s["status"]: s["defined"] == 0 for s in statuses}["failed"]
    assert sum(f["n_trials"] for f in failures(run)) == outcome.failed


def test_what_fails_for_one_object_fails_for_no_other(troubled: tuple[Path, Outcome]) -> None:
    found = [f for f in failures(troubled[0] / "run") if f["case_id"] in ("toy/case1", "toy/case2")]
    assert {f["error"] for f in found} == {"FakeFailureError"}
    assert {f["object_id"].split("/")[3] for f in found} == {"block"}
    assert {f["case_id"] for f in found} == {"toy/case1", "toy/case2"}


def test_an_unreadable_unit_becomes_failure_rows(troubled: tuple[Path, Outcome]) -> None:
    found = [f for f in failures(troubled[0] / "run") if f["case_id"] == "toy/case0"]
    assert {(f["stage"], f["error"]) for f in found} == {("read", "CorruptDataError")}
    assert sum(f["n_trials"] for f in found) == 28


def test_a_unit_that_kills_its_workers_becomes_failure_rows(
    troubled: tuple[Path, Outcome],
) -> None:
    """Ray would restart the worker and hand it the same unit for ever."""
    run = troubled[0] / "run"
    found = [f for f in failures(run) if f["dataset"] == "wide"]
    assert {f["stage"] for f in found} == {"worker"}
    assert sum(f["n_trials"] for f in found) == 14
    lost = [e for e in events(run, "worker_lost") if e["unit_id"].startswith("wide-")]
    assert [event["how"] for event in lost] == ["died"] * 2
    assert not list((run / "parts/_attempts").rglob("[0-9]*"))


def test_a_unit_that_hangs_is_given_up_and_the_others_go_on(
    troubled: tuple[Path, Outcome],
) -> None:
    run = troubled[0] / "run"
    found = [f for f in failures(run) if f["dataset"] == "wider"]
    assert {f["stage"] for f in found} == {"worker"}
    assert sum(f["n_trials"] for f in found) == 14
    assert all("sign of life" in f["message"] for f in found)
    told = [text for path in (run / "logs").glob("stalled-*.txt") if (text := path.read_text())]
    assert len(told) == 2
    assert all("fake.py" in text for text in told)
    lost = [e for e in events(run, "worker_lost") if e["unit_id"].startswith("wider-")]
    assert [event["how"] for event in lost] == ["stalled"] * 2
    assert len(events(run, "worker_lost")) == 4


def test_failed_cells_run_again_when_asked(
    troubled: tuple[Path, Outcome], tmp_path: Path, console: Console
) -> None:
    """The causes are repaired."""
    folder, before = troubled
    run = Path(shutil.copytree(folder / "run", tmp_path / "run", symlinks=True))
    collection = folder / "toy.zarr"
    shutil.copy(folder / "whole", shard(collection))
    study = write_study(tmp_path, ONLY_FAKE)
    again = run_study(study, collection, run, Runtime(actors=1), console)
    assert (again.units_run, again.failed) == (0, before.failed)
    retry = Runtime(actors=1, retry_failed=True)
    retried = run_study(study, collection, run, retry, console)
    assert (retried.failed, retried.done) == (0, retried.expected)
    loop = run_without_ray(study, collection, tmp_path / "loop")
    assert results(run).equals(results(loop))


def failures(run: Path) -> list[dict[str, Any]]:
    """Of trials; those of factors are of no model."""
    found: list[dict[str, Any]] = run_sql(
        run,
        "SELECT * FROM failures JOIN slices USING (slice_id) JOIN cases USING (case_id)"
        " WHERE model = 'fake'",
    ).to_pylist()
    return found


def shard(collection: Path) -> Path:
    """The file of a case's labels."""
    return next(
        path
        for path in (collection / "toy/case0/labels").rglob("*")
        if path.is_file() and path.name != "zarr.json"
    )


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


def wide(dataset: str, size: int) -> CuratedCase:
    return replace(volume("one", slices=1, size=size), dataset=dataset)


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    "how",
    [
        signal.SIGTERM,
        # what it leaves and how it is resumed is also seen in `chaos.py`, which kills a driver
        pytest.param(signal.SIGKILL, marks=pytest.mark.long),
    ],
)
def test_killed_in_the_middle_and_resumed(
    ray_session: str,
    plain: Path,
    collection: Path,
    tmp_path: Path,
    console: Console,
    how: signal.Signals,
) -> None:
    """How slowly a model answers is no part of an identity.

    The killed driver leaves a cluster behind; the one that is asked to end has a Ray of its own,
    which must end with it.
    """
    study = write_study(tmp_path, ONLY_FAKE, fake=SLOW)
    run = tmp_path / "run"
    command = [
        sys.executable, "-m", "engine", "evaluate", str(study),
        "--collection", str(collection), "--out", str(run), "--actors", "1",
    ]  # fmt: skip
    env = {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"}
    command += ["--address", ray_session] if how is signal.SIGKILL else []
    driver = subprocess.Popen(
        command, env=env, start_new_session=True, stderr=subprocess.PIPE, text=True
    )
    try:
        _wait_for(lambda: len(list(PartStore(run).manifests())) >= 5, driver)
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
    assert results(run).equals(results(plain))


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
