"""A run whose study demands a bound: held to it on a worker before anything is evaluated."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from worlds import toy_collection

from engine.cli import run
from engine.models.numerics import numerics_of
from engine.results.query import run_sql

pytestmark = pytest.mark.ray

STUDY = """\
name: toy
models: [tiny]
strategies: [point_1, box]
jitter: {levels: [[0, 0], [0, 10]], trials: 1}
precision: bfloat16
"""


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_collection(tmp_path_factory.mktemp("bound") / "c.zarr", cases=2, slices=1)


def test_a_run_in_bfloat16_under_a_bound(
    ray_session: str, collection: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Refused, then let through, with what was measured in the database."""
    out = tmp_path / "run"
    asked = ["evaluate", str(tmp_path / "study.yaml"), "--collection", str(collection)]
    asked += ["--out", str(out), "--actors", "1"]
    (tmp_path / "study.yaml").write_text(STUDY + "parity_bound: 1.0e-9\n")
    assert run(asked) == 2
    assert "further from the plain way" in capsys.readouterr().err
    assert not list(out.glob("parts/**/*.parquet"))
    (tmp_path / "study.yaml").write_text(STUDY + "parity_bound: 0.5\n")
    assert run(asked) == 0
    (row,) = run_sql(out, "FROM parity").to_pylist()
    (kept,) = json.loads((out / "parity.json").read_text())["rows"]
    assert row == {name: kept[name] for name in row}
    assert (row["model"], row["modality"], row["slices"], row["trials"]) == ("tiny", "CT", 2, 8)
    (said,) = run_sql(
        out, "SELECT precision, device, kernels, encode_batch, decode_batch FROM models"
    ).to_pylist()
    numerics = numerics_of("cpu", "bfloat16")
    assert said == {
        "precision": "bfloat16", "device": numerics.device, "kernels": numerics.kernels,
        "encode_batch": 1, "decode_batch": 16,
    }  # fmt: skip
