"""Fixtures every room's tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsers import chromium
from hypothesis import settings

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


@pytest.fixture(scope="module")  # while it is open, its event loop keeps others from running
def browser() -> Iterator[Any]:
    """A headless Chromium; the test skips where there is none."""
    with chromium() as opened:
        yield opened
