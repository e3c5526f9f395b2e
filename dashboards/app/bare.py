"""A Dash application without pages: its name, its files, and calm refusals of others."""

from __future__ import annotations

from pathlib import Path

import flask
import plotly
from dash import Dash
from dash.exceptions import DependencyException

_PLOTLY = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"


def bare_app(run_dir: Path) -> Dash:
    """An application about a run; it loads nothing from elsewhere."""
    app = Dash(
        __name__, title=f"samscope · {run_dir.resolve().name}", update_title="",
        serve_locally=True, suppress_callback_exceptions=True, add_log_handler=False,
    )  # fmt: skip

    server: flask.Flask = app.server

    # which the browser may fetch before it knows of any figure
    @server.route("/plotly.js")
    def plotly_js() -> flask.Response:
        return flask.send_file(_PLOTLY, mimetype="text/javascript")

    @server.errorhandler(DependencyException)
    def no_such_file(_: DependencyException) -> flask.Response:
        return flask.Response("there is no such file\n", 404)

    return app
