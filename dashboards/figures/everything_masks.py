"""Masks of Everything: predicted IoU against Dice, counted in squares."""

from __future__ import annotations

import math

import plotly.graph_objects as go
import pyarrow as pa
from plotly.subplots import make_subplots

from dashboards.figures.rows import rows, unique
from dashboards.figures.theme import finish, nothing

_STEPS = 20


def figure(answer: pa.Table) -> go.Figure:
    """From the question `everything_masks`: pairs of mask and object per square, a log scale."""
    items = rows(answer)
    cells = unique((row["model"], row["strategy"]) for row in items)
    if not cells:
        return nothing("No masks of Everything in this run.")
    made = make_subplots(
        rows=1, cols=len(cells), shared_yaxes=True, subplot_titles=[" · ".join(c) for c in cells],
        horizontal_spacing=min(0.03, 0.3 / len(cells)),
    )  # fmt: skip
    middles = [(step + 0.5) / _STEPS for step in range(_STEPS)]
    for column, cell in enumerate(cells, start=1):
        counts: list[list[int | None]] = [[None] * _STEPS for _ in range(_STEPS)]
        for row in items:
            if (row["model"], row["strategy"]) == cell:
                counts[round(row["dice"] * _STEPS)][round(row["iou"] * _STEPS)] = row["n"]
        made.add_trace(
            go.Heatmap(
                x=middles, y=middles, coloraxis="coloraxis",
                z=[[None if n is None else math.log10(n) for n in line] for line in counts],
                text=[["" if n is None else f"{n:,}" for n in line] for line in counts],
                hovertemplate="predicted IoU %{x:.3f}, Dice %{y:.3f}<br>%{text} pairs"
                "<extra></extra>",
            ),
            row=1, col=column,
        )  # fmt: skip
    made.update_xaxes(range=[0, 1], title_text="predicted IoU of the mask", showgrid=False)
    made.update_yaxes(range=[0, 1], showgrid=False)
    made.update_yaxes(title_text="Dice with an object it touches", col=1)
    ticks = list(range(1 + int(math.log10(max(row["n"] for row in items)))))
    made.update_layout(coloraxis={
        "colorscale": "Cividis",
        "colorbar": {"title": {"text": "pairs"}, "tickvals": ticks, "thickness": 12,
                     "ticktext": [f"{10**tick:,}" for tick in ticks]},
    })  # fmt: skip
    total = sum(row["n"] for row in items)
    return finish(made, 460, note=f"{total:,} pairs of a mask and an object.")
