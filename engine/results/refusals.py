"""Why a statement has no answer, in words its author can act on."""

from __future__ import annotations

from engine.errors import UserError

_LONGEST = 200


def mistake(kind: str, text: str, sql: str) -> UserError:
    """Of a statement that is not one that asks, or that DuckDB refuses.

    Args:
        kind: `empty`, `several`, `syntax`, `statement`, `outside` or `failed`.
        text: DuckDB's own words, which name close tables and columns; of `several` the number of
            statements, of `statement` its type.
    """
    if kind == "failed" and "read-only" in text:
        kind = "statement"
    what, got, expected, remedy = {
        "empty": (
            "the query is empty",
            sql.strip()[:_LONGEST] or "nothing",
            "one SELECT statement",
            'try "FROM results LIMIT 5"',
        ),
        "several": (
            "the query has several statements",
            f"{text} statements",
            "one SELECT statement",
            "ask them one call at a time",
        ),
        "syntax": (
            "the query is not valid SQL",
            text,
            "one SELECT statement of DuckDB",
            "correct it at the mark; on a shell, put the whole query in double quotes, and a "
            'backslash before each that belongs to it, as in \\"overlaps\\"',
        ),
        "statement": (
            "the statement does not only ask",
            text,
            "a SELECT: the database is opened read-only, its settings are locked",
            "begin with SELECT or FROM; keep an answer by samscope sql ... --format parquet > FILE",
        ),
        "outside": (
            "the query reaches outside the results",
            text,
            "tables and views of this run; files, addresses and extensions are closed",
            "to join other data, open results.duckdb in the `duckdb` shell",
        ),
        "failed": (
            "the query failed",
            text,
            "one SELECT over the tables and views of the run",
            "`SHOW TABLES` lists tables and views, `DESCRIBE results` its columns",
        ),
    }[kind]
    return UserError(what, got=got, expected=expected, remedy=remedy)


def too_long(characters: int, most: int) -> UserError:
    """Of a text no person writes."""
    return UserError(
        "the query is too long",
        got=f"{characters:,} characters",
        expected=f"at most {most:,}",
        remedy="use conditions and joins instead of long lists of values",
    )


def too_late(seconds: float) -> UserError:
    """Of a statement that was killed at its deadline."""
    return UserError(
        "the query was stopped at its deadline",
        got=f"no end after {seconds:g} s",
        expected=f"an answer within {seconds:g} s",
        remedy="ask about less, or allow more: samscope sql ... --seconds",
    )


def too_much(text: str, memory_bytes: int) -> UserError:
    """Of a statement that was refused memory."""
    return UserError(
        "the query needs more memory than it may take",
        got=text.partition("\n")[0],
        expected=f"at most {_gib(memory_bytes)}; nothing spills to the disk",
        remedy="ask about less, or allow more: samscope sql ... --memory",
    )


def broke_off(how: str, memory_bytes: int) -> UserError:
    """Of a statement whose process died: DuckDB gives up where it cannot even report an error."""
    return UserError(
        "the query brought its process down",
        got=how[:_LONGEST],
        expected=f"an answer within {_gib(memory_bytes)} of memory",
        remedy="simplify it, or allow more memory; the results are as they were",
    )


def _gib(size: int) -> str:
    return f"{size / 2**30:.3g} GiB"
