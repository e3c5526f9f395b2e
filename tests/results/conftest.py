"""One synthetic run, with failed trials, empty predictions and a pending cell."""

from __future__ import annotations

import pytest
from results.synthetic import SKIPPED, Synthetic, make


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Synthetic:
    """A run with failed trials, empty predictions and one pending cell, built."""
    folder = tmp_path_factory.mktemp("synthetic")
    made = make(folder, leave_out=lambda cell: cell == SKIPPED)
    made.build()
    return made
