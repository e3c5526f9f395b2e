"""Asking a run in SQL, and writing the answer."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from results.synthetic import Synthetic, make

from engine.errors import UserError
from engine.results.export import MAX_TEXT_ROWS, export, to_bytes
from engine.results.query import connect, query, run_sql


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Synthetic:
    made = make(tmp_path_factory.mktemp("query"))
    made.build()
    return made


def test_text_is_taken_as_a_path(made: Synthetic) -> None:
    with connect(str(made.run_dir)) as connection:
        assert query(connection, "SELECT count(*) AS n FROM runs")["n"].to_pylist() == [1]


def test_absent_run_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        connect(tmp_path / "nowhere")
    assert "no such folder" in str(caught.value)
    assert "samscope evaluate" in str(caught.value)
    with pytest.raises(UserError, match="no results database"):
        connect(tmp_path)


def test_damaged_database_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "results.duckdb").write_bytes(b"not a database at all" * 100)
    with pytest.raises(UserError, match="cannot be opened"):
        connect(tmp_path)


def test_a_database_of_another_version_says_what_to_do(made: Synthetic) -> None:
    with pytest.raises(UserError) as caught:
        run_sql(made.run_dir, "SELECT dyce FROM results")
    assert "dice" in str(caught.value)
    assert "samscope evaluate" in str(caught.value)


def test_two_readers_at_once(made: Synthetic) -> None:
    with connect(made.run_dir) as one, connect(made.run_dir) as other:
        answers = [query(c, "SELECT count(*) AS n FROM trials") for c in (one, other)]
    assert answers[0].equals(answers[1])


TABLE = pa.table(
    {
        "name": pa.array(["a,b", 'quote "x"', None]),
        "n": pa.array([1, None, 3], pa.int64()),
        "value": pa.array([0.5, None, float("nan")]),
        "notes": pa.array([["x", "y"], [], None], pa.list_(pa.string())),
        "point": pa.array([{"x": 1}, None, {"x": 2}], pa.struct([("x", pa.int32())])),
    }
)


def test_csv_round_trip() -> None:
    rows = list(csv.reader(io.StringIO(to_bytes(TABLE, "csv").decode())))
    assert rows[0] == TABLE.column_names
    assert rows[1] == ["a,b", "1", "0.5", '["x", "y"]', '{"x": 1}']
    assert rows[2] == ['quote "x"', "", "", "[]", ""]
    assert rows[3] == ["", "3", "", "", '{"x": 2}']


def test_json_has_no_nan() -> None:
    rows = json.loads(to_bytes(TABLE, "json"), parse_constant=lambda text: pytest.fail(text))
    assert rows[0] == {
        "name": "a,b", "n": 1, "value": 0.5, "notes": ["x", "y"], "point": {"x": 1}
    }  # fmt: skip
    assert rows[2]["value"] is None
    assert json.loads(to_bytes(TABLE.slice(0, 0), "json")) == []


def test_parquet_round_trip() -> None:
    without_nan = TABLE.slice(0, 2)  # NaN differs from itself
    read = pq.read_table(io.BytesIO(to_bytes(without_nan, "parquet")))
    assert read.to_pylist() == without_nan.to_pylist()


def test_text_shows_whole_ids_and_counts() -> None:
    long = pa.table({"id": ["x" * 300], "n": [None]})
    text = to_bytes(long, "table").decode()
    assert "x" * 300 in text
    assert "NULL" in text
    assert "[...]" not in text
    assert "(1 rows)" in text
    nested = {"names": [[f"{n}" for n in range(900)]], "card": [json.dumps(list(range(900)))]}
    alike = [f"[CT] abdomen/patient_0001_with_a_long_name/slice_0000/left kidney/{k}" for k in "01"]
    told = to_bytes(pa.table({"object_id": alike}), "table").decode()
    assert all(one in told for one in alike)
    text = to_bytes(pa.table(nested), "table").decode()
    assert max(map(len, text.splitlines())) < 160
    assert '["0", "1"' in text
    assert "[0, 1" in text
    assert "--format csv" in text
    many = to_bytes(pa.table({"i": range(MAX_TEXT_ROWS + 5)}), "table").decode()
    assert "5 not shown" in many


def test_text_sends_no_control_characters_to_the_terminal() -> None:
    text = to_bytes(pa.table({"a\x1b[2J": ["\x1b]0;mine\x07", "liver\n\u202e"]}), "table").decode()
    assert "\x1b" not in text
    assert "\\x1b]0;mine\\x07" in text
    assert "liver\\x0a\\x202e" in text


def test_unknown_format() -> None:
    with pytest.raises(UserError, match="parquet"):
        export(TABLE, "parkett", io.BytesIO())


@pytest.mark.parametrize("fmt", ["csv", "json", "parquet", "table"])
def test_all_of_results_can_be_written(made: Synthetic, fmt: str) -> None:
    for name in ("results", "trials", "units", "runs"):
        assert to_bytes(run_sql(made.run_dir, f"FROM {name}"), fmt)
