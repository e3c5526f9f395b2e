"""The dashboard of a run without results: the run is watched until its database is there."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from dash import Dash, dcc, html

from dashboards.app.bare import bare_app
from dashboards.app.pages import run as run_page
from dashboards.app.parts import calm
from engine.results.query import has_database

Answer = Iterable[bytes]
Wsgi = Callable[[dict[str, Any], Any], Answer]


class Waiting:
    """A WSGI application: the page of the run, until its results can be shown by `complete`.

    Args:
        run_dir: a run directory, with or without a database.
        complete: makes the whole dashboard.
    """

    def __init__(self, run_dir: Path, complete: Callable[[], Wsgi]) -> None:
        self._run_dir, self._complete = run_dir, complete
        self._lock = threading.Lock()
        self._made: Wsgi | None = None
        self._watching: Wsgi = make_watching_app(run_dir).server

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Answer:
        with self._lock:
            if self._made is None and has_database(self._run_dir):
                self._made = self._complete()
        return (self._made or self._watching)(environ, start_response)


def make_watching_app(run_dir: Path) -> Dash:
    """The page of a run that has no results yet, alone."""
    app = bare_app(run_dir)
    app.layout = lambda: html.Div([
        dcc.Interval(id="wait", interval=1000 * run_page.AGAIN_S),
        html.Header([html.H1("samscope"), html.P([str(run_dir.resolve())])], className="top"),
        html.Div(id="there"),
        html.Main([
            calm("There are no results yet: they are built when the evaluation ends. This page "
                 "follows the run."),
            *run_page.followed(run_dir),
        ]),
    ], className="shell")  # fmt: skip
    run_page.connect(app, run_dir)
    return app
