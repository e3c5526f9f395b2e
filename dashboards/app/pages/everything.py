"""Everything: the masks it makes, and whether it knows which fit."""

from __future__ import annotations

from dash import html

from dashboards.app.parts import Body, calm, figure, table
from dashboards.app.state import State
from dashboards.app.view import View


def body(state: State, view: View) -> Body:
    """Masks against objects, and what each grid reached."""
    if not state.data.rows("SELECT 1 FROM strategies WHERE kind = 'everything' LIMIT 1"):
        return [calm("This study has no strategy of kind everything.")]
    return [
        *figure("everything_masks", state.data, view),
        html.H2("Dice by grid"),
        html.P("oracle: the best of a slice's masks; predicted_iou: the first that holds the "
               "object's point. masks per slice: mean, over slices with any.",
               className="caption"),
        table("grid", state.data.answer("grid", view).num_rows),
    ]  # fmt: skip
