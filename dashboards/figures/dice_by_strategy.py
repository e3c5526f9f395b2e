"""Dice by strategy and selection."""

from __future__ import annotations

import plotly.graph_objects as go
import pyarrow as pa

from dashboards.figures.panels import Series, dot_panels
from dashboards.figures.rows import rows, unique
from dashboards.figures.theme import SELECTION_COLOURS, SELECTION_SYMBOLS


def figure(answer: pa.Table) -> go.Figure:
    """From the question `leaderboard`: mean Dice, 0..1, with intervals and n/N."""
    items = rows(answer)
    series = [
        Series(
            name,
            [row for row in items if row["selection"] == name],
            SELECTION_COLOURS[name],
            SELECTION_SYMBOLS[name],
        )
        for name in unique(row["selection"] for row in items)
    ]
    return dot_panels(items, series, "dice", "mean Dice", [-0.02, 1.02])
