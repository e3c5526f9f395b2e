"""Dice against the time of a prompt."""

from __future__ import annotations

import plotly.graph_objects as go
import pyarrow as pa

from dashboards.figures.rows import hover, preferred, rows, unique
from dashboards.figures.theme import colour, finish, nothing, symbol


def figure(answer: pa.Table) -> go.Figure:
    """From the question `cost_quality`: mean Dice, 0..1, over milliseconds per trial, log."""
    selection, items = preferred(rows(answer))
    shown = [row for row in items if row["prompt_s_per_trial"] and row["dice"] is not None]
    if not shown:
        return nothing("No times were measured.")
    models = unique(row["model"] for row in shown)
    made = go.Figure()
    for index, strategy in enumerate(unique(row["strategy"] for row in shown)):
        mine = [row for row in shown if row["strategy"] == strategy]
        made.add_scatter(
            x=[1000 * (r["prompt_s_per_trial"] + (r["score_s_per_trial"] or 0)) for r in mine],
            y=[r["dice"] for r in mine], mode="markers+text", name=strategy,
            text=[r["model"] for r in mine] if len(models) > 1 else None,
            textposition="middle right",
            error_y={
                "symmetric": False, "thickness": 1.5,
                "array": [(r["dice_hi"] or r["dice"]) - r["dice"] for r in mine],
                "arrayminus": [r["dice"] - (r["dice_lo"] or r["dice"]) for r in mine],
            },
            marker={"color": colour(index), "symbol": symbol(index), "size": 11},
            customdata=[
                f"{r['model']}, {strategy}<br>{hover(r, 'dice')}<br>embedding "
                f"{1000 * (r['embed_s_per_slice'] or 0):.0f} ms per slice" for r in mine
            ],
            hovertemplate="%{customdata}<br>%{x:.2f} ms per trial<extra></extra>",
        )  # fmt: skip
    made.update_xaxes(type="log", title_text="milliseconds per trial: prompt, masks, scores")
    made.update_yaxes(range=[-0.02, 1.02], title_text="mean Dice")
    return finish(made, 430, note=f"Selection {selection}.")
