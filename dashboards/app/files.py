"""Files beside the pages, and calm refusals of those that are not there."""

from __future__ import annotations

from pathlib import Path

import flask
import plotly
from dash.exceptions import DependencyException

_PLOTLY = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"


def connect_files(server: flask.Flask) -> None:
    """plotly.js, which the browser may fetch before it knows of any figure; and calm refusals."""

    @server.route("/plotly.js")
    def plotly_js() -> flask.Response:
        return flask.send_file(_PLOTLY, mimetype="text/javascript")

    @server.errorhandler(DependencyException)
    def no_such_file(_: DependencyException) -> flask.Response:
        return flask.Response("there is no such file\n", 404)
