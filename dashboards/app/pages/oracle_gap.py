"""Oracle gap: what is lost by the model's own choice."""

from __future__ import annotations

from dashboards.app.parts import Body, figure
from dashboards.app.state import State
from dashboards.app.view import View


def body(state: State, view: View) -> Body:
    """The figure and its numbers."""
    return figure("oracle_gap", state.data, view)
