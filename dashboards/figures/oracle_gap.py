"""Oracle gap: Dice lost by the model's own choice of mask."""

from __future__ import annotations

import plotly.graph_objects as go
import pyarrow as pa

from dashboards.figures.panels import Series, dot_panels
from dashboards.figures.rows import rows
from dashboards.figures.theme import OKABE_ITO


def figure(answer: pa.Table) -> go.Figure:
    """From the question `oracle_gap`: mean gap in Dice, 0..1, with intervals and n/N."""
    items = rows(answer)
    ends = [row[name] for row in items for name in ("gap", "gap_hi", "gap_balanced_hi")]
    highest = max((end for end in ends if end is not None), default=0.0)
    series = [Series("oracle − predicted_iou", items, OKABE_ITO[0], "circle")]
    limit = max(0.1, highest * 1.05)
    return dot_panels(items, series, "gap", "oracle gap (Dice)", [-0.02 * limit, limit])
