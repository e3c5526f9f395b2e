"""The child process of `engine.results.sandbox`: one statement in, an Arrow stream out.

Run by its path, so that it imports nothing of samscope. A JSON request comes on standard input;
the rows leave on standard output. Exit code 0 says that the stream is whole; `REFUSED`, that
standard error holds why as JSON: `{"kind": ..., "text": ...}`.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from collections.abc import Iterator
from typing import Any

REFUSED = 3
_BATCH_ROWS = 16_384
_PIECE_BYTES = 2**20
_LONGEST_TEXT = 4_000
"""Characters; standard error must fit a pipe that nobody reads before the end."""
_READING = ("SELECT", "EXPLAIN", "MULTI")
"""What the parser calls a statement that asks; MULTI is a PIVOT that first lists its columns."""


class RefusedError(Exception):
    """Why there is no answer: `kind` is one the parent has words for."""

    def __init__(self, kind: str, text: object) -> None:
        super().__init__(kind, str(text).strip()[:_LONGEST_TEXT])


def main() -> int:
    """Answer the request on standard input; returns the exit code."""
    request = json.load(sys.stdin)
    try:
        _answer(request)
    except RefusedError as refused:
        kind, text = refused.args
        sys.stderr.write(json.dumps({"kind": kind, "text": text}))
        return REFUSED
    return 0


def _answer(request: dict[str, Any]) -> None:
    # The alarm ends the process from the kernel, should the parent die before its own deadline.
    signal.alarm(request["alarm_s"])
    # Everything is imported before the seal: afterwards no file opens any more, no module either.
    import duckdb
    import pyarrow as pa

    try:
        connection = duckdb.connect(request["database"], read_only=True, config=request["config"])
        connection.execute("SELECT 1").fetchall()  # its threads start
    except duckdb.Error as error:
        raise RefusedError("unopened", error) from error
    _seal(request["memory_bytes"])
    try:
        _check_statement(connection.extract_statements(request["sql"]))
        reader = connection.sql(request["sql"]).to_arrow_reader(_BATCH_ROWS)
        with pa.ipc.new_stream(sys.stdout.buffer, reader.schema) as stream:
            for batch in reader:
                for piece in _pieces(batch, request["max_row_bytes"]):
                    stream.write_batch(piece)
        sys.stdout.buffer.flush()
    except RefusedError:
        raise
    except (duckdb.OutOfMemoryException, MemoryError, pa.ArrowMemoryError) as error:
        raise RefusedError("memory", error) from error
    except duckdb.ParserException as error:
        raise RefusedError("syntax", error) from error
    except duckdb.PermissionException as error:
        raise RefusedError("outside", error) from error
    except Exception as error:  # whatever it is, it is about this statement
        raise RefusedError("failed", error) from error


def _pieces(batch: Any, max_row_bytes: int) -> Iterator[Any]:
    """The rows of a record batch in pieces that the parent can count before it holds them."""
    if batch.nbytes <= _PIECE_BYTES:
        yield batch
    elif batch.num_rows == 1:
        if batch.nbytes > max_row_bytes:
            raise RefusedError("memory", f"a row of {batch.nbytes:,} bytes")
        yield batch
    else:
        half = batch.num_rows // 2
        yield from _pieces(batch.slice(0, half), max_row_bytes)
        yield from _pieces(batch.slice(half), max_row_bytes)


def _check_statement(statements: list[Any]) -> None:
    if len(statements) != 1:
        raise RefusedError("several" if statements else "empty", len(statements))
    kind = statements[0].type.name
    if kind not in _READING:
        raise RefusedError("statement", kind)


def _seal(memory_bytes: int) -> None:
    """Let the kernel hold what DuckDB promises, and what it does not.

    No new file, socket or pipe; no byte into a file; no process, no core dump; and no more address
    space than it has now plus `memory_bytes`: DuckDB counts only part of what it allocates.
    """
    limits = {
        resource.RLIMIT_NOFILE: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NPROC: 0,
        resource.RLIMIT_CORE: 0,
    }
    if sys.platform == "linux":  # other kernels do not hold a process to it
        limits[resource.RLIMIT_AS] = _mapped_bytes() + memory_bytes
    for what, most in limits.items():
        resource.setrlimit(what, (most, most))


def _mapped_bytes() -> int:
    with open("/proc/self/statm", "rb") as statm:
        return int(statm.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    sys.exit(main())
