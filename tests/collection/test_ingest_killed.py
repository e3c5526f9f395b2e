"""kill -9 at any moment, then again, then resume: the same collection to the byte."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from stored_makers import NpzFolder, info, put, put_many, tables, tree, verify, volume

from engine.collection.catalog import Catalog
from engine.collection.ingest import ingest_source
from engine.errors import UserError

HERE = Path(__file__).resolve().parent


def killed(raw: Path, out: Path, fatal: int, content: str = "c1") -> None:
    """Ingest in a process of its own that dies at its `fatal`-th fsync."""
    paths = os.pathsep.join([str(HERE), str(HERE.parent.parent)])
    done = subprocess.run(
        [sys.executable, str(HERE / "killed_ingest.py"), str(raw), str(out), str(fatal), content],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


def whole_so_far(out: Path) -> int:
    """Whatever the catalog lists verifies; counts its slices. 0 before there is a catalog."""
    try:
        Catalog.open(out)
    except UserError:
        return 0
    verify(out)
    found = tables(out)
    assert {row["dataset"] for row in found["cases"]} <= {r["dataset"] for r in found["datasets"]}
    return len(found["slices"])


def test_resumed_equals_undisturbed(tmp_path: Path) -> None:
    raw, calm, rough = tmp_path / "raw", tmp_path / "calm.zarr", tmp_path / "rough.zarr"
    put_many(raw)
    ingest_source(NpzFolder(raw), calm, unit_slices=4)
    progress = []
    for fatal in (2, 17, 43, 60):  # each run goes on where the last one was killed
        killed(raw, rough, fatal)
        progress.append(whole_so_far(rough))
    assert progress == sorted(progress)
    assert 0 < progress[-1] < len(tables(calm)["slices"])
    report = ingest_source(NpzFolder(raw), rough, unit_slices=4)
    assert report.unchanged > 0
    assert tables(rough) == tables(calm)
    assert tree(rough) == tree(calm)
    assert not (rough / "catalog" / ".staging").exists()


@pytest.mark.parametrize("fatal", [16, 30])
def test_killed_while_rebuilding(tmp_path: Path, fatal: int) -> None:
    """Changed files: until the new array is in place the old one stays, or neither is there."""
    raw, calm, rough = tmp_path / "raw", tmp_path / "calm.zarr", tmp_path / "rough.zarr"
    for name in ("a", "b", "c"):
        put(raw, volume(name, seed=1))
    for out in (calm, rough):
        ingest_source(NpzFolder(raw), out, unit_slices=4)
    for name in ("a", "c"):
        put(raw, volume(name, seed=2))
    ingest_source(NpzFolder(raw), calm, unit_slices=4)
    killed(raw, rough, fatal)
    whole_so_far(rough)
    ingest_source(NpzFolder(raw), rough, unit_slices=4)
    assert tree(rough) == tree(calm)


def test_a_reader_during_an_ingest_sees_whole_arrays(tmp_path: Path) -> None:
    """The merged tables are those of the last ingest; the fragments are the truth."""
    raw, out = tmp_path / "raw", tmp_path / "c.zarr"
    put(raw, volume("a"))
    ingest_source(NpzFolder(raw), out)
    put(raw, volume("b"))
    put(raw, volume("c"))
    killed(raw, out, fatal=30)
    seen = [row["case_id"] for row in tables(out)["cases"]]
    assert seen == ["ds/a", "ds/b"]
    assert info().dataset == tables(out)["datasets"][0]["dataset"]
    verify(out)


def test_ten_kills_at_random_moments(tmp_path: Path) -> None:
    """However often and wherever it dies: the next one goes on, and the end is the same bytes."""
    raw, calm, rough = tmp_path / "raw", tmp_path / "calm.zarr", tmp_path / "rough.zarr"
    put_many(raw)
    ingest_source(NpzFolder(raw), calm, unit_slices=4)
    moments = random.Random(20261125)  # seconds from the start of Python to past its end
    dead = 0
    for _ in range(10):
        process = start(raw, rough)
        time.sleep(moments.uniform(0.3, 1.6))
        process.send_signal(signal.SIGKILL)
        dead += process.wait() == -signal.SIGKILL
        whole_so_far(rough)
    assert dead > 0
    ingest_source(NpzFolder(raw), rough, unit_slices=4)
    assert tables(rough) == tables(calm)
    assert tree(rough) == tree(calm)


def start(raw: Path, out: Path) -> subprocess.Popen[bytes]:
    """Ingest in a process of its own, which nothing stops by itself."""
    paths = os.pathsep.join([str(HERE), str(HERE.parent.parent)])
    command = [sys.executable, str(HERE / "killed_ingest.py"), str(raw), str(out), "-1", "c1"]
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": paths})
