"""Structures: which are segmented well, in which modality; a click leads to the cases."""

from __future__ import annotations

from dash import html

from dashboards.app.parts import Body, figure
from dashboards.app.state import State
from dashboards.app.view import View


def body(state: State, view: View) -> Body:
    """The heat map, whose cells lead to their cases."""
    found = figure("structure_modality", state.data, view, drill=True, each="model")
    found.insert(2, html.P("Click a cell to see its cases, worst first.", className="note"))
    return found
