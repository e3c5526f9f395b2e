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
from engine.errors import UserError

pytestmark = [pytest.mark.long, pytest.mark.ray]

KILLS = 10


def test_ten_kills_of_the_command(tmp_path: Path) -> None:
    raw, calm, rough = tmp_path / "raw", tmp_path / "calm.zarr", tmp_path / "rough.zarr"
    list(write_subjects(orders(raw, "kill", 60, ["abdomen_mr"])))
    folder = raw / "abdomen_mr"
    ingest("phantom_abdomen_mr", folder, calm)
    moments = random.Random(7)
    stored = [0]
    for _ in range(KILLS):
        process = subprocess.Popen(command(folder, rough), start_new_session=True)
        enough = stored[-1] + moments.randint(0, 4)  # so that every kill hits work in progress
        while process.poll() is None and cases(rough) < max(enough, stored[-1] + 1):
            time.sleep(0.05)
        time.sleep(moments.uniform(0, 0.5))
        os.killpg(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        stored.append(cases(rough))
    assert stored == sorted(stored)
    assert stored[-1] < Catalog.open(calm).cases.num_rows
    subprocess.run(command(folder, rough), check=True)
    assert tables(rough) == tables(calm)
    assert tree(rough) == tree(calm)


def command(folder: Path, out: Path) -> list[str]:
    recipe = ["phantom_abdomen_mr", str(folder), "--out", str(out), "--workers", "2"]
    return [sys.executable, "-m", "engine", "ingest", *recipe]


def cases(out: Path) -> int:
    try:
        return Catalog.open(out).cases.num_rows
    except UserError:
        return 0
