"""One local Ray for all tests of the pipeline, and a small study on a small collection."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
import ray
from rich.console import Console
from worlds import toy_collection


@pytest.fixture(scope="session")
def ray_session() -> Iterator[None]:
    """A local Ray with two CPUs, whatever the machine has."""
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture(scope="session")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_collection(tmp_path_factory.mktemp("toy") / "toy.zarr")


@pytest.fixture
def console() -> Console:
    return Console(file=StringIO())
