"""SQL that someone else wrote: in a process of its own, sealed, and killed at its deadline.

DuckDB treats SQL like a program: it opens files, loads extensions, takes memory past its own limit
and does not always heed an interrupt. So a statement runs in a child that can open nothing, has an
address space of a fixed size, and is killed from outside. `docs/design/security.md` says what was
tried and did not hold.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Timer

import pyarrow as pa

from engine.errors import UserError
from engine.results import sealed_query
from engine.results.query import SEALED, cannot_be_opened, database_of
from engine.results.refusals import broke_off, mistake, too_late, too_long, too_much
from engine.stores import Place

LONGEST_SQL = 100_000
_ALARM_AFTER_S = 10
_DUCKDB_SHARE = 0.75
"""Of the memory, for what DuckDB counts; it then complains in words before the kernel does."""
_NEEDED = ("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TZ")
"""What a child inherits of the environment: how to find Python's libraries, and nothing secret."""


@dataclass(frozen=True)
class Limits:
    """What one statement may cost.

    Attributes:
        seconds: from its start to its last row.
        memory_bytes: of the child, over the libraries it loads (about 110 MB resident).
        max_rows, max_bytes: of the answer, in memory; None: as many as there are.
        threads: DuckDB's.
    """

    seconds: float = 30.0
    memory_bytes: int = 2 * 2**30
    max_rows: int | None = 100_000
    max_bytes: int | None = 64 * 2**20
    threads: int = 4


@dataclass(frozen=True)
class Answer:
    """Rows of a statement, and whether there were more of them than the limits let through."""

    table: pa.Table
    truncated: bool = False


def run_untrusted_sql(run_dir: Place, sql: str, limits: Limits | None = None) -> Answer:
    """Run one statement on the newest results of a run, whoever wrote it.

    It can read the tables and views of this database and nothing else. The answer is cut at a row
    limit or a byte limit, and says so; it is never cut by trouble in the child.

    Raises:
        UserError: no database, not one statement that asks, an error of DuckDB, more memory or time
            than the limits.
    """
    limits = limits or Limits()
    if len(sql) > LONGEST_SQL:
        raise too_long(len(sql), LONGEST_SQL)
    ending = _ask(_request(database_of(run_dir), sql, limits), limits)
    if ending.answer is not None and (ending.answer.truncated or ending.code == 0):
        return ending.answer
    raise _why(ending, sql, run_dir, limits)


def _request(database: Path, sql: str, limits: Limits) -> bytes:
    request = {
        "database": str(database),
        "sql": sql,
        "alarm_s": int(limits.seconds) + _ALARM_AFTER_S,
        "memory_bytes": limits.memory_bytes,
        "max_row_bytes": limits.max_bytes or limits.memory_bytes,
        "config": {
            **SEALED,
            "lock_configuration": "true",
            "memory_limit": f"{int(limits.memory_bytes * _DUCKDB_SHARE)}B",
            "temp_directory": "",
            "threads": str(limits.threads),
        },
    }
    return json.dumps(request).encode()


@dataclass(frozen=True)
class _Ending:
    """How a child ended: its rows, its exit code, what it said, whether it was killed as late."""

    answer: Answer | None
    code: int
    said: bytes
    late: bool


def _ask(request: bytes, limits: Limits) -> _Ending:
    """Run a child; it has gone when this returns or raises."""
    late = Event()
    with subprocess.Popen(
        [sys.executable, "-P", sealed_query.__file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={name: os.environ[name] for name in _NEEDED if name in os.environ},
        cwd="/",
        start_new_session=True,
    ) as child:
        deadline = Timer(limits.seconds, _stop, (child, late))
        deadline.start()
        try:
            _send(child, request)
            answer = _received(child, limits)
            if answer is not None and answer.truncated:
                return _Ending(answer, 0, b"", late=False)
            said = child.stderr.read() if child.stderr else b""
            return _Ending(answer, child.wait(), said, late.is_set())
        finally:
            deadline.cancel()
            deadline.join()
            _kill(child)


def _send(child: subprocess.Popen[bytes], request: bytes) -> None:
    if child.stdin:
        with suppress(BrokenPipeError):  # it has gone already: its exit code says why
            child.stdin.write(request)
            child.stdin.close()


def _stop(child: subprocess.Popen[bytes], late: Event) -> None:
    late.set()
    _kill(child)


def _kill(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        with suppress(ProcessLookupError):  # it went by itself meanwhile
            os.killpg(child.pid, signal.SIGKILL)


def _received(child: subprocess.Popen[bytes], limits: Limits) -> Answer | None:
    """The rows as far as they came, at most what the limits allow; None: not even a schema."""
    batches: list[pa.RecordBatch] = []
    rows_left = sys.maxsize if limits.max_rows is None else limits.max_rows
    bytes_left = sys.maxsize if limits.max_bytes is None else limits.max_bytes
    try:
        stream = pa.ipc.open_stream(child.stdout)
        for batch in stream:
            bytes_left -= batch.nbytes
            if bytes_left < 0 or batch.num_rows > rows_left:
                kept = batch.slice(0, rows_left if bytes_left >= 0 else 0)
                return Answer(pa.Table.from_batches([*batches, kept], stream.schema), True)
            rows_left -= batch.num_rows
            batches.append(batch)
    except (pa.ArrowException, OSError):  # it ended early; the exit code says why
        return None
    return Answer(pa.Table.from_batches(batches, stream.schema))


def _why(ending: _Ending, sql: str, run_dir: Place, limits: Limits) -> UserError:
    """Words for a child that gave no answer, or not all of it."""
    if ending.late or ending.code == -signal.SIGALRM:
        return too_late(limits.seconds)
    said = ending.said.decode(errors="replace").strip().rpartition("\n")[2]
    if ending.code != sealed_query.REFUSED:
        killed = ending.code < 0  # then it says nothing a person could use
        got = f"signal {-ending.code}" if killed else f"exit code {ending.code}: {said}"
        return broke_off(got, limits.memory_bytes)
    refusal = json.loads(said)  # a library may have warned before it
    if refusal["kind"] == "unopened":
        return cannot_be_opened(run_dir, refusal["text"])
    if refusal["kind"] == "memory":
        return too_much(refusal["text"], limits.memory_bytes)
    return mistake(refusal["kind"], refusal["text"], sql)
