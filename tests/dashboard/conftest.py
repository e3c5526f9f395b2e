"""A small real run, and the dashboard over it behind a real address."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from worlds import STUDY, run_without_ray, toy_collection, write_study

from dashboards.app import make_app, serve


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
    run = run_without_ray(study, collection, folder / "run")
    with served(run) as address:
        yield World(run, collection, address)


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
