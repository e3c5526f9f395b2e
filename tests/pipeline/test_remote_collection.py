"""A study over a collection in an object store gives what it gives over the same one on disk."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from object_store import serve_s3
from rich.console import Console
from worlds import toy_collection

from engine.pipeline.run import run_study
from engine.results.query import run_sql
from engine.study import Runtime

pytestmark = pytest.mark.ray

STUDY = """\
name: toy
models: [{name: fake, model: fake}]
strategies: [point_1, box]
"""


@pytest.mark.timeout(240)
def test_the_same_results_from_a_bucket(
    ray_session: None, tmp_path: Path, console: Console
) -> None:
    study = tmp_path / "study.yaml"
    study.write_text(STUDY)
    here = toy_collection(tmp_path / "toy.zarr")
    run_study(study, here, tmp_path / "here", Runtime(actors=1), console)
    with serve_s3() as bucket:
        there = f"{bucket}/toy.zarr"
        toy_collection(there)  # type: ignore[arg-type]
        command = ["evaluate", str(study), "--collection", there, "--out", str(tmp_path / "there")]
        for _ in range(2):  # the second finds everything done, and knows the place again
            done = subprocess.run(
                [sys.executable, "-m", "engine", *command], capture_output=True, text=True
            )
            assert done.returncode == 0, done.stderr
    assert "0 units of 6 evaluated" in done.stdout
    rows = "FROM results ORDER BY ALL"
    assert run_sql(tmp_path / "there", rows).equals(run_sql(tmp_path / "here", rows))
    place = run_sql(tmp_path / "there", "SELECT collection_path FROM runs").to_pylist()
    assert place[0]["collection_path"] == there
