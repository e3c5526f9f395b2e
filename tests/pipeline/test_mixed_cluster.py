"""A cluster of two machines whose CPUs differ, and one study."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from worlds import STUDY, write_study

from engine.models.numerics import numerics_of
from engine.results.query import run_sql

pytestmark = [pytest.mark.ray, pytest.mark.long]

CLUSTER = """
import sys
from ray.cluster_utils import Cluster
node = {"num_cpus": 1, "object_store_memory": 128 * 2**20, "include_dashboard": False}
cluster = Cluster(True, head_node_args=node)
cluster.add_node(**node, env_vars={"ATEN_CPU_CAPABILITY": "default"})
print(cluster.address, flush=True)
sys.stdin.read()
cluster.shutdown()
"""


def test_two_kinds_of_machines_share_a_study(collection: Path, tmp_path: Path) -> None:
    env = {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"}
    slow = "seconds_per_slice: 1\n"  # so that the second machine begins before the first has ended
    with subprocess.Popen(
        [sys.executable, "-c", CLUSTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env,
        text=True,
    ) as cluster:  # fmt: skip
        assert cluster.stdin is not None
        assert cluster.stdout is not None
        address = next(line for line in cluster.stdout if ":" in line and " " not in line).strip()
        try:
            for name, text in (("one", ""), ("mixed", "mixed_numerics: true\n")):
                study = write_study(tmp_path / name, STUDY + text, fake=slow)
                done = subprocess.run(
                    [
                        sys.executable, "-m", "engine", "evaluate", str(study), "--address",
                        address, "--collection", str(collection), "--out",
                        str(tmp_path / name / "run"), "--actors", "2",
                    ],
                    env=env, capture_output=True, text=True,
                )  # fmt: skip
                if name == "one":
                    assert done.returncode == 2
                    assert "numerics on this worker differ" in done.stderr
                    assert "mixed_numerics: true" in done.stderr
                else:
                    assert done.returncode == 0, done.stderr
        finally:
            cluster.stdin.close()
    run = tmp_path / "mixed/run"
    kinds = run_sql(run, "SELECT DISTINCT device FROM units ORDER BY 1")["device"].to_pylist()
    assert kinds == sorted([numerics_of("cpu").device, "cpu-default"])
    coverage = run_sql(run, "SELECT sum(expected) e, sum(done) d FROM coverage").to_pylist()
    assert coverage == [{"e": 480, "d": 480}]
