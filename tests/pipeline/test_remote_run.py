"""A run in an object store gives what it gives on a disk, whoever is killed meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from object_store import serve_s3
from rich.console import Console
from worlds import write_study

from engine.cli import run
from engine.commands.report import report_command
from engine.commands.status import status_command
from engine.errors import UserError
from engine.pipeline.run import run_study
from engine.results.parts import PartStore
from engine.results.query import run_sql
from engine.stores import ObjectStore, Url
from engine.study import Runtime

pytestmark = pytest.mark.ray

TABLES = ("results", "overlaps", "failures", "coverage", "objects", "final_results")
STUDY = """\
name: toy
models: [{name: fake, model: FAKE}]
strategies: [everything, point_1, box]
jitter: {levels: [[0, 0], [0, 10]], trials: 2}
"""
LEASE_S = 4.0


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with serve_s3() as address:
        yield address


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "engine", *words]


def own_ray() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}


@pytest.mark.timeout(300)
def test_a_run_in_a_bucket_killed_refused_and_resumed(
    ray_session: None,
    bucket: str,
    collection: Path,
    tmp_path: Path,
    console: Console,
    cache: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """How slowly a model answers is no part of an identity."""
    study = write_study(tmp_path, STUDY)
    run_study(study, collection, tmp_path / "here", Runtime(actors=1), console)
    there = Url(f"{bucket}/runs/one")
    words = [
        "evaluate", str(study), "--collection", str(collection), "--out", there,
        "--actors", "1", "--lease", str(LEASE_S),
    ]  # fmt: skip
    write_study(tmp_path, STUDY, fake="seconds_per_slice: 8\n")
    driver = subprocess.Popen(
        command(*words), env=own_ray(), start_new_session=True, stderr=subprocess.PIPE, text=True
    )
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

    write_study(tmp_path, STUDY)
    again = subprocess.run(command(*words), capture_output=True, text=True, env=own_ray())
    assert again.returncode == 0, again.stderr
    assert "of 6 evaluated" in again.stdout
    assert "6 units of 6" not in again.stdout
    for table in TABLES:
        rows = f"FROM main.{table} ORDER BY ALL"
        assert run_sql(there, rows).equals(run_sql(tmp_path / "here", rows)), table

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
