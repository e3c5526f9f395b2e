"""A small collection, and a console nobody reads."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from worlds import ONLY_FAKE, run_without_ray, toy_collection, write_study


@pytest.fixture(scope="session")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_collection(tmp_path_factory.mktemp("toy") / "toy.zarr")


@pytest.fixture
def console() -> Console:
    return Console(file=StringIO())


@pytest.fixture(scope="session")
def plain(collection: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`ONLY_FAKE` over the collection without Ray: what every other run of it must be equal to."""
    folder = tmp_path_factory.mktemp("plain")
    return run_without_ray(write_study(folder, ONLY_FAKE), collection, folder / "run")
