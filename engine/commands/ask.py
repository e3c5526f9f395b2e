"""`samscope ask`: the named questions of a run."""

from __future__ import annotations

import sys

from engine.analysis import QUESTIONS, run
from engine.commands.say import out
from engine.results.export import export
from engine.results.query import connect
from engine.stores import Place


def ask_command(run_dir: Place, question: str | None, fmt: str) -> int:
    """Answer one question, or list all of them.

    Raises:
        UserError: no such run, question or format.
    """
    if question is None:
        width = max(map(len, QUESTIONS))
        for known in QUESTIONS.values():
            out(f"{known.name:{width}}  {known.words}")
        return 0
    with connect(run_dir) as connection:
        answer = run(connection, question)
    export(answer, fmt, sys.stdout.buffer)
    return 0
