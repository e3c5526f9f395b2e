"""kill -9 of `samscope ingest` and its Ray workers, ten times at random moments."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from stored_makers import tables, tree

from engine.collection.catalog import Catalog
from engine.collection.ingest import ingest
from engine.collection.phantoms.families import orders, write_subjects

pytestmark = [pytest.mark.long, pytest.mark.ray]

KILLS = 10


def test_ten_kills_of_the_command(tmp_path: Path) -> None:
    raw, calm, rough = tmp_path / "raw", tmp_path / "calm.zarr", tmp_path / "rough.zarr"
    list(write_subjects(orders(raw, "kill", 200, ["abdomen_ct"]), workers=2))
    folder = raw / "abdomen_ct"
    ingest("phantom_abdomen_ct", folder, calm)
    moments = random.Random(7)
    stored = [0]
    for _ in range(KILLS):
        process = subprocess.Popen(command(folder, rough), start_new_session=True)
        enough = stored[-1] + moments.randint(1, 4)  # so that every kill hits work in progress
        while process.poll() is None and fragments(rough) < enough:
            time.sleep(0.002)
        time.sleep(moments.uniform(0, 0.02))
        assert process.poll() is None, "it came to its end: draw more cases"
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert Catalog.open(rough).cases.num_rows == fragments(rough)
        stored.append(fragments(rough))
    assert stored == sorted(stored)
    subprocess.run(command(folder, rough), check=True)
    assert tables(rough) == tables(calm)
    assert tree(rough) == tree(calm)


def command(folder: Path, out: Path) -> list[str]:
    recipe = ["phantom_abdomen_ct", str(folder), "--out", str(out), "--workers", "2"]
    return [sys.executable, "-m", "engine", "ingest", *recipe]


def fragments(out: Path) -> int:
    """Cases stored so far: each is an array of its own here."""
    found = (out / "catalog/fragments").glob("*/*.parquet")
    return sum(not file.name.startswith("_dataset.") for file in found)
