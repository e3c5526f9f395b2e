"""Partial correlations of Dice with object factors, a panel per model."""

from __future__ import annotations

import plotly.graph_objects as go
import pyarrow as pa
from plotly.subplots import make_subplots

from dashboards.figures.rows import Row, offsets, preferred, rows, segments, unique
from dashboards.figures.theme import colour, finish, nothing, symbol

_HEAD_PX = 92
"""For the legend, the titles and the numbers below them."""


def figure(answer: pa.Table) -> go.Figure:
    """From the question `factors`: partial Spearman of Dice, -1..1, with intervals and n/N."""
    wanted = [r for r in rows(answer) if r["score"] == "dice" and r["factor"] != "modality"]
    selection, items = preferred(wanted)
    if not any(row["partial"] is not None for row in items):
        return nothing("Too few scored objects for a correlation.")
    models = unique(row["model"] for row in items)
    factors = unique(row["factor"] for row in items)
    strategies = unique(row["strategy"] for row in items)
    made = make_subplots(rows=1, cols=len(models), shared_yaxes=True,
                         horizontal_spacing=min(0.02, 0.3 / len(models)))  # fmt: skip
    shifts = offsets(len(strategies), 0.62)
    for column, model in enumerate(models, start=1):
        for index, (shift, strategy) in enumerate(zip(shifts, strategies, strict=True)):
            mine = [r for r in items if (r["model"], r["strategy"]) == (model, strategy)]
            y = [factors.index(row["factor"]) + shift for row in mine]
            along, across = segments(mine, "partial", y)
            common = {"legendgroup": strategy, "name": strategy}
            made.add_trace(
                go.Scatter(x=along, y=across, mode="lines", hoverinfo="skip", showlegend=False,
                           line={"color": colour(index), "width": 2}, **common),
                row=1, col=column,
            )  # fmt: skip
            made.add_trace(
                go.Scatter(
                    x=[row["partial"] for row in mine], y=y, mode="markers",
                    marker={"color": colour(index), "symbol": symbol(index), "size": 8},
                    showlegend=column == 1, text=[_hover(row) for row in mine],
                    hovertemplate="%{text}<extra></extra>", **common,
                ),
                row=1, col=column,
            )  # fmt: skip
        made.update_xaxes(title_text=f"{model} · partial Spearman with Dice", col=column)
        made.add_vline(x=0, line={"color": "rgba(128,128,128,0.8)", "width": 1}, col=column, row=1)
    # Above: the figure is taller than a window.
    made.update_xaxes(range=[-1.02, 1.02], side="top")
    made.update_yaxes(
        tickvals=list(range(len(factors))), ticktext=[name.replace("_", " ") for name in factors],
        range=[len(factors) - 0.5, -0.5],
    )  # fmt: skip
    height = 130 + len(factors) * max(24, 9 * len(strategies))
    finish(made, height, note=f"Selection {selection}. {_words(items)}")
    return made.update_layout(margin={"t": _HEAD_PX, "b": 16})


def _hover(row: Row) -> str:
    if row["partial"] is None:
        return f"{row['strategy']}, {row['factor']}<br>undefined"
    spread = ""
    if row["partial_lo"] is not None:
        spread = f" [{row['partial_lo']:.2f}, {row['partial_hi']:.2f}]"
    return (
        f"{row['strategy']}, {row['factor']}<br>partial {row['partial']:.2f}{spread}, "
        f"plain {row['spearman']:.2f}<br>{row['n']:,} scored / {row['expected']:,} expected"
    )


def _words(items: list[Row]) -> str:
    """The modality's own effect, which has no rank."""
    low, high = min(r["n"] for r in items), max(r["n"] for r in items)
    number = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    return f"{number} of {items[0]['expected']:,} objects have the factors and a score."
