"""Seconds of work per stage, a bar per model."""

from __future__ import annotations

import plotly.graph_objects as go
import pyarrow as pa

from dashboards.figures.rows import rows, unique
from dashboards.figures.theme import colour, finish


def figure(answer: pa.Table) -> go.Figure:
    """From the question `cost`: stacked bars, seconds."""
    items = rows(answer)
    models = unique(row["model"] for row in items)
    made = go.Figure()
    for index, stage in enumerate(unique(row["stage"] for row in items)):
        of = {row["model"]: row["seconds"] for row in items if row["stage"] == stage}
        pattern = ("", "/", "x")[index // 6 % 3]
        made.add_bar(
            y=models, x=[of.get(model, 0.0) for model in models], orientation="h", name=stage,
            marker={"color": colour(index), "pattern": {"shape": pattern}},
            hovertemplate=f"%{{y}}, {stage}: %{{x:.1f}} s<extra></extra>",
        )  # fmt: skip
    made.update_layout(barmode="stack", bargap=0.35)
    made.update_xaxes(title_text="seconds of work")
    made.update_yaxes(autorange="reversed", ticklabelstandoff=6)
    return finish(made, 150 + 52 * len(models))
