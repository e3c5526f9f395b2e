"""The jobs through a real cluster head with token authentication, as the README says."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from worlds import toy_collection, write_study

from engine.results.query import run_sql

ROOT = Path(__file__).resolve().parent.parent.parent
RAY = str(Path(sys.executable).parent / "ray")
STUDY = "name: toy\nmodels: [{name: fake, model: FAKE}]\nstrategies: [everything, box]\n"

pytestmark = [pytest.mark.ray, pytest.mark.long]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A head on loopback with a token of its own; yields the environment of its clients."""
    folder = tmp_path_factory.mktemp("head")
    dashboard = free_port()
    env = {
        **os.environ,
        "PATH": f"{Path(RAY).parent}:{os.environ['PATH']}",
        "HOME": str(folder),
        "RAY_AUTH_MODE": "token",
        "RAY_API_SERVER_ADDRESS": f"http://127.0.0.1:{dashboard}",
    }
    subprocess.run([RAY, "get-auth-token", "--generate"], env=env, check=True, capture_output=True)
    command = [
        RAY, "start", "--head", "--block", "--num-cpus=2", f"--port={free_port()}",
        "--node-ip-address=127.0.0.1", "--dashboard-host=127.0.0.1",
        f"--dashboard-port={dashboard}", f"--dashboard-agent-listen-port={free_port()}",
        f"--ray-client-server-port={free_port()}", f"--temp-dir={_short_folder()}",
    ]  # fmt: skip
    process = subprocess.Popen(command, env=env, start_new_session=True, stdout=subprocess.DEVNULL)
    yield env
    os.killpg(process.pid, signal.SIGTERM)
    process.wait(60)


def _short_folder() -> str:
    """Ray's sockets live below it, and their paths may have 107 bytes at most."""
    folder = Path(f"/tmp/samscope-ray-{os.getpid()}")
    folder.mkdir(exist_ok=True)
    return str(folder)


def submit(env: dict[str, str], *entrypoint: str) -> subprocess.CompletedProcess[str]:
    """`ray job submit`, again while the head is still starting."""
    command = [RAY, "job", "submit", "--runtime-env", "jobs/runtime_env.yaml", "--", *entrypoint]
    for _ in range(20):
        done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True)
        if "No available agent" not in done.stderr and "Failed to connect" not in done.stderr:
            return done
        time.sleep(3)
    return done


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


@pytest.mark.timeout(300)
def test_without_the_token_a_job_is_refused(head: dict[str, str], tmp_path: Path) -> None:
    stranger = {**head, "HOME": str(tmp_path), "RAY_AUTH_MODE": "disabled"}
    done = submit(stranger, "python", "-c", "pass")
    assert done.returncode != 0
    assert "token" in (done.stdout + done.stderr).lower()
