"""A study over a collection in an object store gives what it gives over the same one on disk."""

from __future__ import annotations

from pathlib import Path

import pytest
from object_store import fresh_bucket
from worlds import ONLY_FAKE, toy_collection, write_study

from engine.cli import run
from engine.results.query import run_sql

pytestmark = pytest.mark.ray


@pytest.mark.timeout(240)
def test_the_same_results_from_a_bucket(
    ray_session: str, plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By words of the command line; the second finds everything done, and knows the place."""
    collection, out = f"{fresh_bucket()}/toy.zarr", tmp_path / "there"
    toy_collection(collection)  # type: ignore[arg-type]
    study = write_study(tmp_path, ONLY_FAKE)
    for _ in range(2):
        assert (
            run(["evaluate", str(study), "-c", collection, "--out", str(out), "--actors", "1"]) == 0
        )
    assert "0 units of 6 evaluated" in capsys.readouterr().out
    for table in ("results", "overlaps", "objects"):
        rows = f"FROM main.{table} ORDER BY ALL"
        assert run_sql(out, rows).equals(run_sql(plain, rows)), table
    place = run_sql(out, "SELECT collection_path FROM runs").to_pylist()
    assert place[0]["collection_path"] == collection
