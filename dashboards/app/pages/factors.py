"""Factors: which properties of an object go with its Dice."""

from __future__ import annotations

from dashboards.app.parts import Body, figure
from dashboards.app.state import State
from dashboards.app.view import View


def body(state: State, view: View) -> Body:
    """Correlations, then Dice along each factor."""
    return [
        *figure("factor_correlations", state.data, view),
        *figure("factor_bins", state.data, view),
    ]
