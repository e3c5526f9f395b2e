"""Fixtures every room's tests share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsers import chromium
from hypothesis import settings

from engine.results.query import has_database, run_sql
from engine.results.schema import database_version

# No test judges time: on a busy machine the first example waits for a compiler or a disk.
settings.register_profile("samscope", deadline=None)
settings.load_profile("samscope")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real medical images; the test skips where it is absent."""
    path = Path(os.environ.get("SAMSCOPE_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not path.is_dir():
        pytest.skip(f"real images are absent: {path} (set SAMSCOPE_SHARED_DATA)")
    return path


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of `samscope demo`: the one that `make demo` left, if it is of today, or one made
    now, which takes two to four minutes."""
    left = ROOT / "demo" / "run"
    if has_database(left):
        (row,) = run_sql(left, "SELECT database_version FROM runs").to_pylist()
        if row["database_version"] == database_version():
            return left
    folder = tmp_path_factory.mktemp("demo")
    subprocess.run(
        [sys.executable, "-m", "engine", "demo", "--out", str(folder)], cwd=ROOT, check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True,
    )  # fmt: skip
    return folder / "run"


@pytest.fixture(scope="module")  # while it is open, its event loop keeps others from running
def browser() -> Iterator[Any]:
    """A headless Chromium; the test skips where there is none."""
    with chromium() as opened:
        yield opened
