"""SQL that someone else wrote: it asks, or it is refused or stopped, and nothing else happens."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from results.synthetic import Synthetic, make

from engine.errors import UserError
from engine.results import sandbox, sealed_query
from engine.results.query import connect, database_of, query, run_sql
from engine.results.sandbox import LONGEST_SQL, Answer, Limits, run_untrusted_sql

ENDLESS = "SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE hash(a, b) = 1"
SMALL = Limits(seconds=120, memory_bytes=400 * 2**20)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Synthetic:
    made = make(tmp_path_factory.mktemp("sandbox"))
    made.build()
    return made


def _ask(made: Synthetic, sql: str, limits: Limits = SMALL) -> Answer:
    return run_untrusted_sql(made.run_dir, sql, limits)


def _refusal(made: Synthetic, sql: str, limits: Limits = SMALL) -> str:
    with pytest.raises(UserError) as caught:
        _ask(made, sql, limits)
    return str(caught.value)


def _files(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of every file below a folder."""
    return {
        str(path): (path.lstat().st_size, path.lstat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
    }


@pytest.mark.parametrize(
    "sql",
    [
        "FROM results ORDER BY ALL",
        "PIVOT results ON strategy USING round(avg(dice), 9) GROUP BY model ORDER BY model",
        "SHOW TABLES",
        "DESCRIBE results",
        "-- a comment; and more\nWITH a AS (SELECT 1 AS x) SELECT x FROM a; ",
    ],
)
def test_answers_are_those_of_an_open_connection(made: Synthetic, sql: str) -> None:
    answer = _ask(made, sql)
    assert not answer.truncated
    assert len(answer.table) > 0
    assert answer.table.equals(run_sql(made.run_dir, sql))


def test_every_type_survives_the_journey(made: Synthetic) -> None:
    sql = "FROM test_all_types()"
    table = _ask(made, sql).table
    with connect(made.run_dir) as connection:
        expected = query(connection, sql)
    assert table.schema.equals(expected.schema)
    assert [str(c) for c in table.columns] == [str(c) for c in expected.columns]


def test_no_rows_keep_their_columns(made: Synthetic) -> None:
    table = _ask(made, "SELECT dice, model FROM results WHERE false").table
    assert (table.num_rows, table.column_names) == (0, ["dice", "model"])


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELECT dyce FROM results", "dice"),
        ("SELECT * FROM reslts", "results"),
        ("SELEC 1", "remedy: correct it"),
        ("", "the query is empty"),
        ("SELECT 1; DROP TABLE trials", "several statements"),
        ("SELECT 'x'::INTEGER", "Could not convert"),
        ("SELECT '\udcff'", "the query failed"),
        ("SELECT " + "1," * LONGEST_SQL + "1", "too long"),
    ],
)
def test_mistakes_are_answered_with_names(made: Synthetic, sql: str, words: str) -> None:
    assert words in _refusal(made, sql)


ONLY_ASKS = "does not only ask"
OUTSIDE = "outside the results"
FAILED = "the query failed"


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("DROP TABLE trials", ONLY_ASKS),
        ("/* SELECT 1 */ UPDATE trials SET trial = 0 -- FROM", ONLY_ASKS),
        ("WITH a AS (DELETE FROM trials RETURNING *) FROM a", ONLY_ASKS),
        ("EXPLAIN ANALYZE DELETE FROM trials", ONLY_ASKS),
        ("CREATE TEMP TABLE mine AS FROM range(10)", ONLY_ASKS),
        ("COPY results TO 'SCRATCH/out.csv'", ONLY_ASKS),
        ("COPY (PIVOT results ON model USING avg(dice)) TO 'SCRATCH/out.csv'", OUTSIDE),
        ("EXPORT DATABASE 'SCRATCH/out'", ONLY_ASKS),
        ("ATTACH 'SCRATCH/out.duckdb'", ONLY_ASKS),
        ("INSTALL httpfs", ONLY_ASKS),
        ("LOAD 'SCRATCH/evil.duckdb_extension'", ONLY_ASKS),
        ("SET lock_configuration = false", ONLY_ASKS),
        ("PRAGMA enable_profiling", ONLY_ASKS),
        ("CALL enable_logging(storage := 'file', storage_path := 'SCRATCH/log')", ONLY_ASKS),
        ("FROM enable_logging(storage := 'file', storage_path := 'SCRATCH/log')", FAILED),
        ("CREATE PERSISTENT SECRET mine (TYPE s3, KEY_ID 'x')", ONLY_ASKS),
        ("CHECKPOINT", ONLY_ASKS),
        ("FROM '/etc/passwd'", FAILED),
        ("FROM read_csv('/etc/passwd')", OUTSIDE),
        ("FROM read_text('/etc/pass*')", OUTSIDE),
        ("FROM glob('/*')", OUTSIDE),
        ("SELECT (SELECT content FROM read_blob('/proc/self/environ'))", OUTSIDE),
        ("FROM 's3://bucket/rows.parquet'", OUTSIDE),
        ("FROM read_parquet('https://example.org/rows.parquet')", OUTSIDE),
        ("FROM query('COPY (SELECT 1) TO ''SCRATCH/out.csv''')", "SELECT"),
        ("FROM query('FROM read_text(''/etc/passwd'')')", OUTSIDE),
        ("SELECT getenv('PATH')", FAILED),
        ("FROM pandas_scan(140000)", FAILED),
        ("FROM request", "request does not exist"),
    ],
)
def test_a_hostile_statement_is_refused(
    made: Synthetic, tmp_path: Path, sql: str, words: str
) -> None:
    before = _files(made.run_dir)
    assert words in _refusal(made, sql.replace("SCRATCH", str(tmp_path)))
    assert _files(made.run_dir) == before
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT sleep_ms(3600000)",
        "WITH RECURSIVE a AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM a) SELECT count(*) FROM a",
        ENDLESS,
    ],
)
def test_a_statement_without_end_is_killed_at_its_deadline(made: Synthetic, sql: str) -> None:
    assert "stopped at its deadline" in _refusal(made, sql, replace(SMALL, seconds=3))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT a.range FROM range(100000) a, range(100000) b ORDER BY hash(a.range, b.range)",
        "SELECT repeat('x', 1500000000)",
        # of these DuckDB counts little or nothing itself
        "SELECT i, repeat('x', 100000000) || i FROM range(20) t(i)",
        "SELECT printf('%1500000000d', 1)",
        "SELECT len(list_transform(range(1000), lambda x: repeat('y', 1000000)))",
    ],
)
def test_a_statement_that_takes_too_much_is_refused(made: Synthetic, sql: str) -> None:
    before = _files(made.run_dir)
    words = _refusal(made, sql)
    assert "more memory than it may take" in words
    assert "--memory" in words
    assert _files(made.run_dir) == before  # nothing was spilled beside the database


def test_a_string_longer_than_duckdb_holds(made: Synthetic) -> None:
    assert "maximum supported string size" in _refusal(made, "SELECT repeat('x', 10000000000)")


def test_an_endless_answer_is_cut_and_says_so(made: Synthetic) -> None:
    answer = _ask(made, "FROM range(1000000000000)", replace(SMALL, max_rows=20_000))
    assert answer.truncated
    assert answer.table.column("range").to_pylist() == list(range(20_000))
    whole = _ask(made, "FROM range(20000)", replace(SMALL, max_rows=20_000))
    assert not whole.truncated
    assert whole.table.equals(answer.table)


def test_an_answer_is_cut_at_its_bytes(made: Synthetic) -> None:
    sql = "SELECT range, repeat('x', 1000) AS text FROM range(200000)"
    answer = _ask(made, sql, replace(SMALL, max_bytes=40 * 2**20))
    assert answer.truncated
    assert 0 < answer.table.nbytes <= 40 * 2**20
    assert answer.table.column("range").to_pylist() == list(range(len(answer.table)))


def test_a_row_too_long_for_the_answer_never_leaves_the_child(made: Synthetic) -> None:
    words = _refusal(made, "SELECT repeat('x', 5000000)", replace(SMALL, max_bytes=4 * 2**20))
    assert "a row of 5,000," in words
    long = "SELECT repeat('x', 3000000) AS text FROM range(3)"
    answer = _ask(made, long, replace(SMALL, max_bytes=4 * 2**20))
    assert answer.truncated
    assert len(answer.table) == 1


def test_a_child_whose_parent_died_ends_by_itself(made: Synthetic) -> None:
    request = json.loads(sandbox._request(database_of(made.run_dir), ENDLESS, SMALL))
    with subprocess.Popen(
        [sys.executable, "-P", sealed_query.__file__],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as child:  # fmt: skip
        assert child.stdin is not None
        child.stdin.write(json.dumps({**request, "alarm_s": 3}).encode())
        child.stdin.close()
        try:
            assert child.wait(timeout=60) == -signal.SIGALRM
        finally:
            child.kill()


def test_a_rebuild_meanwhile_changes_nothing(made: Synthetic) -> None:
    old = (made.run_dir / "results.duckdb").resolve()
    slow = "SELECT sleep_ms(5000), count(*) AS n FROM trials"
    answers: list[Answer] = []
    asking = threading.Thread(target=lambda: answers.append(_ask(made, slow)))
    asking.start()
    while asking.is_alive() and not _is_open(old):
        time.sleep(0.05)
    for _ in range(3):  # more than are kept
        made.build()
    assert not old.exists()
    asking.join()
    now = _ask(made, "SELECT count(*) AS n FROM trials").table
    assert answers[0].table.column("n").equals(now.column("n"))


def _is_open(path: Path) -> bool:
    """Whether a child of this process holds a file open (Linux)."""
    children = Path("/proc/self/task").glob("*/children")
    pids = [pid for found in children for pid in found.read_text().split()]
    held = (descriptor for pid in pids for descriptor in Path(f"/proc/{pid}/fd").glob("*"))
    return any(descriptor.resolve() == path for descriptor in held)


def test_no_database(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no results database"):
        run_untrusted_sql(tmp_path, "SELECT 1")
    (tmp_path / "results.duckdb").write_bytes(b"not a database at all" * 100)
    with pytest.raises(UserError, match="cannot be opened"):
        run_untrusted_sql(tmp_path, "SELECT 1")


def _child(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str) -> None:
    """Put another program in the child's place."""
    script = tmp_path / "child.py"
    script.write_text("import json, os, sys\nimport pyarrow as pa\nsys.stdin.read()\n" + code)
    monkeypatch.setattr(sealed_query, "__file__", str(script))


def test_no_secret_reaches_the_child(
    made: Synthetic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    _child(
        monkeypatch, tmp_path,
        "table = pa.table({'name': list(os.environ), 'value': list(os.environ.values())})\n"
        "with pa.ipc.new_stream(sys.stdout.buffer, table.schema) as s: s.write_table(table)\n",
    )  # fmt: skip
    found = dict(zip(*_ask(made, "SELECT 1").table.to_pydict().values(), strict=True))
    assert "PATH" in found
    assert "HOME" not in found
    assert "hush" not in found.values()


@pytest.mark.parametrize(
    ("end", "words"),
    [
        ("os.abort()", "signal 6"),
        ("os._exit(7)", "exit code 7"),
        ("raise RuntimeError('broken')", "RuntimeError: broken"),
    ],
)
def test_half_an_answer_is_no_answer(
    made: Synthetic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str, words: str
) -> None:
    """An Arrow stream that ends between two batches looks whole; only the exit code tells."""
    _child(
        monkeypatch, tmp_path,
        "table = pa.table({'a': [1, 2]})\n"
        "stream = pa.ipc.new_stream(sys.stdout.buffer, table.schema)\n"
        f"stream.write_table(table)\nsys.stdout.buffer.flush()\n{end}\n",
    )  # fmt: skip
    assert words in _refusal(made, "SELECT 1")


TRY_ALL = """
import importlib.util, json, os, socket, sys
spec = importlib.util.spec_from_file_location("sealed", sys.argv[1])
sealed = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sealed)
file = open(sys.argv[2], "wb", buffering=0)
sealed._seal(50 * 2**20)
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
tries = {
    "read": lambda: open("/etc/passwd"),
    "write": lambda: open(sys.argv[2] + ".new", "w"),
    "append": lambda: file.write(b"x"),
    "connect": lambda: socket.socket(),
    "pipe": lambda: os.pipe(),
    "memory": lambda: bytearray(60 * 2**20),
}
done = []
for name, attempt in tries.items():
    try:
        attempt()
        done.append(name)
    except (OSError, MemoryError):
        pass
print(json.dumps(done))
"""


def test_the_kernel_holds_the_seal_by_itself(tmp_path: Path) -> None:
    """Whatever DuckDB may be talked into: what its process tries after the seal fails."""
    held = tmp_path / "held"
    done = subprocess.run(
        [sys.executable, "-P", "-c", TRY_ALL, str(Path(sealed_query.__file__)), str(held)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout) == []
    assert held.read_bytes() == b""
    assert [path.name for path in tmp_path.iterdir()] == ["held"]


def test_a_view_over_a_file_opens_nothing(tmp_path: Path) -> None:
    """A run directory may come from anyone."""
    import duckdb

    secret = tmp_path / "secret.csv"
    secret.write_text("a\nhush\n")
    with duckdb.connect(str(tmp_path / "results.duckdb")) as connection:
        connection.execute(f"CREATE VIEW results AS FROM read_csv('{secret}')")
    with pytest.raises(UserError, match="outside the results"):
        run_untrusted_sql(tmp_path, "FROM results")
    with pytest.raises(UserError, match="disabled by configuration"):
        run_sql(tmp_path, "FROM results")
