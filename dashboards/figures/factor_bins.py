"""Dice along object factors: a panel per factor, a line per strategy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
import pyarrow as pa
from plotly.subplots import make_subplots

from dashboards.figures.rows import Row, hover, offsets, preferred, rows, unique
from dashboards.figures.theme import colour, finish, nothing, symbol

_COLUMNS = 3


def figure(answer: pa.Table) -> go.Figure:
    """From the question `factor_bins`: mean Dice, 0..1, of six groups, with 95 % intervals."""
    selection, items = preferred(rows(answer))
    factors = unique(row["factor"] for row in items)
    cells = unique((row["model"], row["strategy"]) for row in items)
    if not factors:
        return nothing("No object has a factor.")
    lines = -(-len(factors) // _COLUMNS)
    made = make_subplots(
        rows=lines, cols=_COLUMNS, shared_yaxes=True,
        subplot_titles=[name.replace("_", " ") for name in factors],
        horizontal_spacing=0.03, vertical_spacing=min(0.12, 0.4 / lines),
    )  # fmt: skip
    models = unique(model for model, _ in cells)
    strategies = unique(strategy for _, strategy in cells)
    shifts = offsets(len(cells), 0.5)
    for place, factor in enumerate(factors):
        at = (place // _COLUMNS + 1, place % _COLUMNS + 1)
        for shift, (model, strategy) in zip(shifts, cells, strict=True):
            key = (factor, model, strategy)
            mine = [r for r in items if (r["factor"], r["model"], r["strategy"]) == key]
            look = strategies.index(strategy)
            dash = ("solid", "dot", "dash")[models.index(model) % 3]
            name = f"{model} · {strategy}" if len(models) > 1 else strategy
            if len(cells) == 1:
                made.add_trace(_band(mine, colour(look)), row=at[0], col=at[1])
            made.add_trace(
                go.Scatter(
                    x=[r["bin"] + shift for r in mine], y=[r["dice"] for r in mine],
                    mode="lines+markers", error_y=_interval(mine),
                    line={"color": colour(look), "width": 2, "dash": dash},
                    marker={"symbol": symbol(look), "size": 7}, name=name, legendgroup=name,
                    showlegend=place == 0, hovertemplate="%{text}<extra></extra>",
                    text=[_hover(name, r) for r in mine],
                ),
                row=at[0], col=at[1],
            )  # fmt: skip
    made.update_xaxes(tickvals=[1, 6], ticktext=["small", "large"])
    made.update_yaxes(range=[-0.02, 1.02])
    made.update_yaxes(title_text="mean Dice", col=1)
    return finish(made, 130 + 210 * lines, note=f"Selection {selection}.")


def _band(mine: Sequence[Row], hue: str) -> go.Scatter:
    kept = [row for row in mine if row["dice_q25"] is not None]
    there = [row["bin"] for row in kept]
    return go.Scatter(
        x=there + there[::-1],
        y=[row["dice_q75"] for row in kept] + [row["dice_q25"] for row in kept][::-1],
        fill="toself", fillcolor=hue, opacity=0.18, line={"width": 0}, hoverinfo="skip",
        showlegend=False,
    )  # fmt: skip


def _interval(mine: Sequence[Row]) -> dict[str, Any]:
    """Error bars; none where a group has one subject."""
    ends = [(r["dice"], r["dice_lo"], r["dice_hi"]) for r in mine]
    return {
        "type": "data", "symmetric": False, "thickness": 1.5, "width": 3,
        "array": [None if hi is None else hi - mean for mean, _, hi in ends],
        "arrayminus": [None if lo is None else mean - lo for mean, lo, _ in ends],
    }  # fmt: skip


def _hover(name: str, row: Row) -> str:
    return f"{name}<br>{row['factor']} {row['lo']:.4g} to {row['hi']:.4g}<br>{hover(row, 'dice')}"
