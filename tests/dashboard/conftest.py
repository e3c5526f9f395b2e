"""A small real run, and the dashboard over it behind a real address."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from worlds import STUDY, toy_collection, write_study

from dashboards.app import make_app, serve

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class World:
    """A collection, a run over it, and the address of its dashboard."""

    run: Path
    collection: Path
    address: str


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("dashboard")
    collection = toy_collection(folder / "toy.zarr", cases=3, slices=2)
    study = write_study(folder, STUDY)
    run = folder / "run"
    evaluate(study, collection, run)
    with served(run) as address:
        yield World(run, collection, address)


def evaluate(study: Path, collection: Path, run: Path) -> None:
    """By the command line, in a process of its own: Ray ends with it."""
    command = [sys.executable, "-m", "engine", "evaluate", str(study), "-c", str(collection)]
    done = subprocess.run(
        [*command, "-o", str(run), "--actors", "1"], cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@contextmanager
def served(run: Path, other: Path | None = None) -> Iterator[str]:
    """The address of a dashboard while it answers."""
    server = serve(make_app(run, other), "127.0.0.1", 0)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()
