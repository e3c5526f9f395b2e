"""A run in an object store gives what it gives on a disk, whoever is killed meanwhile."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from object_store import fresh_bucket
from rich.console import Console
from worlds import ONLY_FAKE, write_study

from engine.cli import run
from engine.commands.report import report_command
from engine.commands.status import status_command
from engine.errors import UserError
from engine.models.numerics import numerics_of
from engine.pipeline import uploads
from engine.pipeline.actor import Assignment, EvaluatorActor
from engine.pipeline.datasource import read_unit
from engine.pipeline.run import run_study
from engine.pipeline.uploads import sent_along
from engine.planning.ground import Planning, plan_study, read_study
from engine.results.parts import PartStore
from engine.results.query import run_sql
from engine.runs import RunDir, driver_lock, working_folder
from engine.stores import ObjectStore, Url
from engine.study import Runtime

TABLES = ("results", "overlaps", "failures", "coverage", "objects", "final_results")
LEASE_S = 4.0


@pytest.fixture(scope="module")
def bucket(ray_session: str) -> str:
    return fresh_bucket()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.ray
@pytest.mark.timeout(300)
def test_a_run_in_a_bucket_killed_refused_and_resumed(
    ray_session: str,
    bucket: str,
    collection: Path,
    plain: Path,
    tmp_path: Path,
    console: Console,
    cache: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """How slowly a model answers is no part of an identity."""
    study = write_study(tmp_path, ONLY_FAKE, fake="seconds_per_slice: 2\n")
    there = Url(f"{bucket}/runs/one")
    words = [
        "evaluate", str(study), "--collection", str(collection), "--out", there,
        "--actors", "1", "--lease", str(LEASE_S),
    ]  # fmt: skip
    driver = subprocess.Popen(
        [sys.executable, "-m", "engine", *words, "--address", ray_session],
        start_new_session=True, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        wait_for_manifests(there, 4, driver)
        status_command(there)
        with pytest.raises(UserError, match="another driver is at work") as second:
            run_study(study, collection, there, Runtime(lease_s=LEASE_S), console)
        assert driver.poll() is None
    finally:
        driver.send_signal(signal.SIGKILL)
        driver.communicate(timeout=30)
    assert f"at work, process {driver.pid} on" in capsys.readouterr().out
    assert f"process {driver.pid} on " in str(second.value.got)
    status_command(there)
    assert "dead: its driver, process" in capsys.readouterr().out

    write_study(tmp_path, ONLY_FAKE)
    assert run(words) == 0
    said = capsys.readouterr().out
    assert "of 6 evaluated" in said
    assert "6 units of 6" not in said
    for table in TABLES:
        rows = f"FROM main.{table} ORDER BY ALL"
        assert run_sql(there, rows).equals(run_sql(plain, rows)), table

    status_command(there)
    assert "finished" in capsys.readouterr().out
    assert run(["sql", there, "SELECT count(*) AS n FROM results", "--format", "csv"]) == 0
    assert run(["ask", there, "leaderboard"]) == 0
    assert run(["plan", *words[1:6]]) == 0
    capsys.readouterr()
    assert report_command(there) == 0
    assert capsys.readouterr().out.strip() == f"{there}/report.html"
    stored = ObjectStore(there)
    assert stored.size("report.html") is not None
    # one model, three strategies; best, median, worst
    assert len(list(stored.list("gallery"))) == 1 * 3 * 3
    assert run_study(study, collection, there, Runtime(), console).units_run == 0


def wait_for_manifests(place: Url, number: int, driver: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline:
        if driver.poll() is not None:
            pytest.fail(f"the driver ended before it could be killed: {driver.communicate()[1]}")
        if len(list(PartStore(place).manifests(set_aside=False))) >= number:
            return
        time.sleep(0.2)
    pytest.fail("nothing was committed in 200 s")


@dataclass
class Desk:
    """A planned study with its run in the bucket; no Ray."""

    planning: Planning
    run: RunDir

    def work(self, token: int) -> dict[str, Any]:
        """The receipt of the first unit, sent by the driver of that token."""
        plan = self.planning.plan
        place = str(self.run.place)
        assignment = Assignment(
            plan.study, "cpu", place, plan.cards, plan.numerics, delay_s=0.01, token=token
        )
        row = read_unit(str(self.planning.collection), plan.units[0].pack())
        (receipt,) = EvaluatorActor(assignment)(row).to_pylist()
        return dict(receipt)

    def cells(self) -> int:
        return len(list(PartStore(self.run.place).manifests()))


@pytest.fixture
def desk(bucket: str, collection: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Desk:
    study = read_study(write_study(tmp_path, ONLY_FAKE))
    run = RunDir.prepare(Url(f"{bucket}/{request.node.name}"), collection)
    run.begin(study)
    return Desk(plan_study(study, collection, numerics_of("cpu")), run)


def test_an_orphan_of_a_driver_that_lost_the_run_commits_nothing(desk: Desk) -> None:
    with driver_lock(desk.run.place, LEASE_S) as first:
        pass
    # nobody has taken over, but its driver has ended
    assert "does not hold the run any more" in desk.work(first.token)["stopped"]
    with driver_lock(desk.run.place, LEASE_S) as second:
        assert second.token > first.token
        assert "does not hold the run any more" in desk.work(first.token)["stopped"]
        assert desk.cells() == 0
        desk.work(second.token)
    assert desk.cells() == 4


def test_a_store_in_trouble_makes_no_failure_rows(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a worker cannot commit is not the unit's fault."""
    real = ObjectStore.create

    def no_answer_once(self: ObjectStore, name: str, data: bytes) -> bool:
        if "_manifests" not in name:
            return real(self, name, data)
        monkeypatch.setattr(ObjectStore, "create", real)
        raise UserError("no answer")

    with driver_lock(desk.run.place, LEASE_S) as hold:
        monkeypatch.setattr(ObjectStore, "create", no_answer_once)
        assert "no answer" in desk.work(hold.token)["stopped"]
        assert desk.cells() == 0
        desk.work(hold.token)
    manifests = list(PartStore(desk.run.place).manifests())
    assert sum(m.failed for m in manifests) == 0


def test_a_run_in_a_bucket_is_found_again_as_it_began(desk: Desk, collection: Path) -> None:
    place, run = desk.run.place, desk.run
    again = RunDir.open(place)
    assert (again.collection, again.created) == (run.collection, run.created)
    assert again.study() == desk.planning.plan.study
    assert again.worked(1.5).worked(1.0).wall_s == 2.5
    assert RunDir.prepare(place, collection).wall_s == 2.5
    with pytest.raises(UserError, match="another collection"):
        RunDir.prepare(place, collection / "other")
    assert not run.path.exists(), "nothing was needed on the local disk"
    with pytest.raises(UserError, match="not a run directory"):
        RunDir.open(Url(f"{place}-that-is-not-there"))
    ObjectStore(f"{place}-thesis").put("thesis.tex", b"x")
    with pytest.raises(UserError, match="something else") as caught:
        RunDir.prepare(Url(f"{place}-thesis"), collection)
    assert "thesis.tex" in str(caught.value.got)


def test_log_and_events_go_on_where_the_last_driver_left_them(desk: Desk) -> None:
    store = ObjectStore(str(desk.run.place))
    with working_folder(desk.run), sent_along(desk.run):
        (desk.run.path / "events.jsonl").write_bytes(b"1\n")
    assert not desk.run.path.exists()
    with working_folder(desk.run), sent_along(desk.run):
        grown = (desk.run.path / "events.jsonl").read_bytes() + b"2\n"
        (desk.run.path / "events.jsonl").write_bytes(grown)
    assert store.get("events.jsonl") == b"1\n2\n"


def test_an_outdated_driver_writes_over_no_log(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    store = ObjectStore(str(desk.run.place))
    with working_folder(desk.run), sent_along(desk.run):
        store.put("run.log", b"of its successor")
        (desk.run.path / "run.log").write_bytes(b"mine")
    assert store.get("run.log") == b"of its successor"
    assert "another driver has written there" in caplog.text


def test_growing_files_are_sent_while_the_run_goes_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "EVERY_S", 0.05)
    store = ObjectStore(str(desk.run.place))
    with working_folder(desk.run), sent_along(desk.run):
        (desk.run.path / "run.log").write_bytes(b"so far")
        deadline = time.monotonic() + 60
        while store.size("run.log") != len(b"so far"):
            assert time.monotonic() < deadline
            time.sleep(0.02)
