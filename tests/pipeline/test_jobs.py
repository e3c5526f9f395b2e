"""The jobs through a real cluster head with token authentication, as the README says."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import by_hand
import pytest
from by_hand import submit
from worlds import toy_collection, write_study

from engine.results.query import run_sql

STUDY = "name: toy\nmodels: [{name: fake, model: FAKE}]\nstrategies: [everything, box]\n"

pytestmark = [pytest.mark.ray, pytest.mark.long]


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a head's clients."""
    with by_hand.head(tmp_path_factory.mktemp("head"), cpus=2) as env:
        yield env


@pytest.mark.timeout(600)
def test_evaluate_and_report_as_jobs(head: dict[str, str], tmp_path: Path) -> None:
    collection = toy_collection(tmp_path / "toy.zarr", cases=2, slices=2)
    study, run = write_study(tmp_path, STUDY), tmp_path / "run"
    done = submit(
        head, "python", "jobs/evaluate.py", str(study),
        "--collection", str(collection), "--out", str(run),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "succeeded" in done.stdout + done.stderr
    coverage = run_sql(run, "SELECT sum(expected) e, sum(done) d FROM coverage").to_pylist()[0]
    assert coverage["e"] == coverage["d"] == 8 * (1 + 10)
    done = submit(head, "python", "jobs/report.py", str(run))
    assert done.returncode == 0, done.stdout + done.stderr
    assert (run / "report.html").exists()


@pytest.mark.timeout(900)
def test_a_worker_node_killed_halfway_through_a_job_changes_no_row() -> None:
    """In a process of its own: two clusters do not fit into one."""
    env = {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"}
    done = subprocess.run(
        [sys.executable, by_hand.__file__, "--slices", "64"],
        env=env, capture_output=True, text=True, timeout=880,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert "worker killed at" in done.stdout
    assert "equal to the undisturbed run" in done.stdout


@pytest.mark.timeout(300)
def test_without_the_token_a_job_is_refused(head: dict[str, str], tmp_path: Path) -> None:
    stranger = {**head, "HOME": str(tmp_path), "RAY_AUTH_MODE": "disabled"}
    done = submit(stranger, "python", "-c", "pass")
    assert done.returncode != 0
    assert "token" in (done.stdout + done.stderr).lower()
