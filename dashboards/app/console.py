"""The SQL console: statements of a stranger, each in a sealed process."""

from __future__ import annotations

import threading
from base64 import b64encode
from typing import Any

from dash import Dash, Input, Output, State, html, no_update

from dashboards.app.parts import MOST_ROWS, Body, calm, grid
from dashboards.app.state import State as AppState
from engine.errors import UserError
from engine.results.export import to_bytes
from engine.results.sandbox import Answer, Limits, run_untrusted_sql

LIMITS = Limits(seconds=10.0, memory_bytes=2**30, max_rows=50_000, max_bytes=8 * 2**20, threads=2)
AT_ONCE = 2
"""Statements that run side by side; the next waits."""


def connect(app: Dash, state: AppState) -> None:
    """Let the buttons of the page SQL do their work."""
    turn = threading.BoundedSemaphore(AT_ONCE)

    def ask(sql: str | None) -> Answer:
        with turn:
            return run_untrusted_sql(state.data.run_dir, sql or "", LIMITS)

    @app.callback(Output("sql-answer", "children"), Input("sql-run", "n_clicks"),
                  State("sql-text", "value"), prevent_initial_call=True)  # fmt: skip
    def run(clicks: int | None, sql: str | None) -> Any:
        if not clicks:
            return no_update
        try:
            return _shown(ask(sql))
        except Exception as problem:  # noqa: BLE001  whatever a value does, it is about the answer
            return calm(_words(problem))

    @app.callback(Output("sql-file", "data"),
                  Output("sql-answer", "children", allow_duplicate=True),
                  Input("sql-csv", "n_clicks"), State("sql-text", "value"),
                  prevent_initial_call=True)  # fmt: skip
    def download(clicks: int | None, sql: str | None) -> Any:
        if not clicks:
            return no_update, no_update
        try:
            answer = ask(sql)
            content = to_bytes(answer.table, "csv")
            file = {
                "content": b64encode(content).decode(),
                "filename": "answer.csv",
                "base64": True,
                "type": "text/csv",
            }
            return file, _shown(answer)
        except Exception as problem:  # noqa: BLE001  as above
            return no_update, calm(_words(problem))


def _words(problem: Exception) -> str:
    """Of a refusal, its own; of a value that Python or a browser cannot hold, what it was."""
    if isinstance(problem, UserError):
        return str(problem)
    return (
        f"The answer holds a value that cannot be shown here ({problem}). Cast it to text: "
        "SELECT column::VARCHAR ..."
    )


def _shown(answer: Answer) -> Body:
    words = f"{answer.table.num_rows:,} rows"
    if answer.truncated:
        words = f"Cut off after {words}: the answer is longer. `samscope sql` gives all of it."
    elif answer.table.num_rows > MOST_ROWS:
        words += "; the CSV holds all of them"
    return [html.P(words, className="note"), grid("sql", answer.table, height=440)]
