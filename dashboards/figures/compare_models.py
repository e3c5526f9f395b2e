"""Models compared: paired differences in Dice to the study's first model."""

from __future__ import annotations

import plotly.graph_objects as go
import pyarrow as pa

from dashboards.figures.panels import Series, dot_panels
from dashboards.figures.rows import rows
from dashboards.figures.theme import SELECTION_COLOURS, SELECTION_SYMBOLS, nothing

_ENDS = ("gain_lo", "gain", "gain_hi", "gain_balanced_lo", "gain_balanced", "gain_balanced_hi")


def figure(answer: pa.Table) -> go.Figure:
    """From the question `compare_models`: mean gain in Dice, -1..1, with intervals and n/N."""
    items = rows(answer)
    if not items:
        return nothing("One model: nothing to compare.")
    ends = [abs(row[name]) for row in items for name in _ENDS if row[name] is not None]
    limit = 1.08 * max([0.05, *ends])
    series = [
        Series(selection, [r for r in items if r["selection"] == selection], hue,
               SELECTION_SYMBOLS[selection])
        for selection, hue in SELECTION_COLOURS.items()
    ]  # fmt: skip
    axis = f"gain over {items[0]['baseline']} (Dice)"
    drawn = dot_panels(items, series, "gain", axis, [-limit, limit])
    drawn.add_vline(x=0, line={"color": "rgba(128,128,128,0.8)", "width": 1})
    return drawn
