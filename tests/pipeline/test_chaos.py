"""Driver, worker and node killed while they work: nothing lost, nothing twice."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.ray


@pytest.mark.timeout(290)
def test_three_kills_leave_the_results_of_an_undisturbed_run() -> None:
    """In a process of its own: two clusters do not fit into one."""
    env = {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"}
    done = subprocess.run(
        [sys.executable, str(Path(__file__).parent / "chaos.py"), "--kills", "3"],
        env=env, capture_output=True, text=True, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert "3 of 3 kills hit work in progress" in done.stdout
    assert all(target in done.stdout for target in ("driver", "worker", "node"))
    assert "equal to the undisturbed run" in done.stdout
