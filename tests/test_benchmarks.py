"""The benchmark that is carried to a GPU runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.long
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_gpu_benchmark_runs_on_a_cpu(precision: str) -> None:
    command = [sys.executable, "benchmarks/gpu.py", "--device", "cpu", "--models", "tiny"]
    done = subprocess.run(
        [*command, "--quick", "--precision", precision],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith("| tiny |")]
    assert len(rows) == 2 + 4 + 2 + 1 + 1 + 1
