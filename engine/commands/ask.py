"""`samscope ask`: the named questions of a run."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from engine.analysis import QUESTIONS, run
from engine.commands.answer_text import answer_text
from engine.commands.say import count, out, problem
from engine.errors import UserError
from engine.files import make_folder
from engine.results.export import export
from engine.results.query import connect, has_database
from engine.runs import RunDir
from engine.stores import Place

ALL = "all"
"""Instead of a question's name: every question, a file each."""
_TEXT = ("topic", "text")
_FILES = {".csv", ".json", ".parquet", ".txt"}


def ask_command(run_dir: Place, question: str | None, fmt: str, folder: Path | None) -> int:
    """Answer one question, all of them into a folder, or list them.

    Raises:
        UserError: no such run, question or format; `all` without a folder, or a folder without a
            question.
    """
    if question is None and folder is None:
        if not has_database(run_dir):
            RunDir.open(run_dir)  # refuses what is no run
        width = max(map(len, QUESTIONS))
        for known in QUESTIONS.values():
            out(f"{known.name:{width}}  {known.words}")
        out("\nanswer one: samscope ask RUN_DIR leaderboard; all of them: "
            "samscope ask RUN_DIR all --format csv --out DIR")  # fmt: skip
        return 0
    if question is None or (question == ALL and folder is None):
        raise UserError(
            "`all` needs a folder, and a folder a question",
            got="`all` without --out" if folder is None else f"--out {folder} alone",
            expected="`samscope ask RUN all --format csv --out DIR`",
        )
    with connect(run_dir) as connection:
        if folder is not None:
            return _write(connection, tuple(QUESTIONS) if question == ALL else (question,), fmt,
                          folder)  # fmt: skip
        answer = run(connection, question)
    if fmt == "table":
        out(_text(answer, question, _terminal()))
    else:
        export(answer, fmt, sys.stdout.buffer)
        if not answer.num_rows:
            problem(_why_empty(question))
    return 0


def _write(
    connection: duckdb.DuckDBPyConnection, names: Sequence[str], fmt: str, folder: Path
) -> int:
    """Write answers to `folder/<question>.<format>`."""
    answer = run(connection, names[0])  # a wrong name leaves no folder
    if folder.suffix in _FILES and not folder.is_dir():
        raise UserError(
            "answers are written to a folder, a file each",
            got=f"--out {folder}",
            expected="the name of a folder",
            remedy=f"--out {folder.with_suffix('')}, or without --out: --format csv > answer.csv",
        )
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
    for name in names:
        if name != names[0]:
            answer = run(connection, name)
        with (folder / f"{name}.{'txt' if fmt == 'table' else fmt}").open("wb") as stream:
            if fmt == "table":
                stream.write((_text(answer, name, None) + "\n").encode())
            else:
                export(answer, fmt, stream)
    out(f"{count(len(names), 'answer')} in {folder}")
    return 0


def _text(answer: pa.Table, question: str, width: int | None) -> str:
    if tuple(answer.column_names) == _TEXT:
        return _prose(answer)
    if not answer.num_rows:
        return _why_empty(question)
    return f"{answer_text(answer, width)}\n\n{QUESTIONS[question].legend}"


def _why_empty(question: str) -> str:
    return f"{question} has no rows: {QUESTIONS[question].empty}"


def _terminal() -> int | None:
    """Columns of the terminal; None where a file or a pipe reads, which has no edge."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _prose(answer: pa.Table) -> str:
    """Paragraphs as a person reads them."""
    return "\n\n".join(textwrap.fill(text, 88) for text in answer["text"].to_pylist())
