"""Fixtures every room's tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real medical images; the test skips where it is absent."""
    path = Path(os.environ.get("SAMSCOPE_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not path.is_dir():
        pytest.skip(f"real images are absent: {path} (set SAMSCOPE_SHARED_DATA)")
    return path
