"""A miniature SAM, a collection of four volumes, and one thread for all of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from training.small import one_thread
from worlds import toy_collection


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


@pytest.fixture(scope="session")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four subjects of three slices with two objects each."""
    return toy_collection(tmp_path_factory.mktemp("toys") / "toy.zarr", cases=4, slices=3)
