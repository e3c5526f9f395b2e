"""`samscope ask`: the named questions of a run."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import duckdb
import pyarrow as pa

from engine.analysis import QUESTIONS, run
from engine.commands.say import out
from engine.errors import UserError
from engine.files import make_folder
from engine.results.export import export
from engine.results.query import connect
from engine.stores import Place

ALL = "all"
"""Instead of a question's name: every question, a file each."""
_TEXT = ("topic", "text")


def ask_command(run_dir: Place, question: str | None, fmt: str, folder: Path | None) -> int:
    """Answer one question, all of them into a folder, or list them.

    Raises:
        UserError: no such run, question or format; `all` without a folder, or the reverse.
    """
    if question is None:
        width = max(map(len, QUESTIONS))
        for known in QUESTIONS.values():
            out(f"{known.name:{width}}  {known.words}")
        return 0
    if (question == ALL) != (folder is not None):
        raise UserError(
            "`all` and --out go together",
            got=f"question '{question}'{'' if folder is None else f', --out {folder}'}",
            expected="`samscope ask RUN all --format csv --out DIR`, or one question without --out",
        )
    with connect(run_dir) as connection:
        if folder is not None:
            return _ask_all(connection, fmt, folder)
        answer = run(connection, question)
    if fmt == "table" and tuple(answer.column_names) == _TEXT:
        out(_prose(answer))
    else:
        export(answer, fmt, sys.stdout.buffer)
    return 0


def _ask_all(connection: duckdb.DuckDBPyConnection, fmt: str, folder: Path) -> int:
    """Write every answer to `folder/<question>.<format>`."""
    try:
        make_folder(folder)
    except (FileExistsError, NotADirectoryError) as error:
        raise UserError(
            "answers cannot be written there",
            where=str(folder),
            got="a file",
            expected="a folder, or a name that is free",
            remedy="choose another --out",
        ) from error
    ending = "txt" if fmt == "table" else fmt
    for name in QUESTIONS:
        with (folder / f"{name}.{ending}").open("wb") as stream:
            export(run(connection, name), fmt, stream)
    out(f"{len(QUESTIONS)} answers in {folder}")
    return 0


def _prose(answer: pa.Table) -> str:
    """Paragraphs as a person reads them."""
    return "\n\n".join(textwrap.fill(text, 88) for text in answer["text"].to_pylist())
