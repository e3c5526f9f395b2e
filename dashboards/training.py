"""Curves of a training: loss by step, Dice of the validations by strategy and selection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboards.figures.theme import SELECTION_COLOURS, finish, symbol

Record = Mapping[str, Any]

_MOST_POINTS = 1000


def curves(records: Sequence[Record]) -> go.Figure:
    """From a training's log (`engine.training.log`): loss on the left, Dice on the right."""
    figure = make_subplots(rows=1, cols=2, subplot_titles=["loss", "validation Dice"])
    losses = [record for record in records if "loss" in record]
    per_point = max(1, -(-len(losses) // _MOST_POINTS))
    groups = [losses[i : i + per_point] for i in range(0, len(losses), per_point)]
    figure.add_scatter(
        x=[group[-1]["step"] for group in groups],
        y=[sum(r["loss"] for r in group) / len(group) for group in groups],
        mode="lines", name="loss", line={"color": "#0072B2", "width": 1}, row=1, col=1,
    )  # fmt: skip
    validations = [record for record in records if "validation" in record]
    strategies = list(validations[0]["validation"]) if validations else []
    for place, strategy in enumerate(strategies):
        for selection, hue in SELECTION_COLOURS.items():
            figure.add_scatter(
                x=[record["step"] for record in validations],
                y=[record["validation"][strategy][selection] for record in validations],
                mode="lines+markers", name=f"{strategy} · {selection}",
                line={"color": hue, "width": 1.5},
                marker={"symbol": symbol(place), "size": 7}, row=1, col=2,
            )  # fmt: skip
    figure.update_xaxes(title_text="step")
    figure.update_yaxes(rangemode="tozero", row=1, col=1)
    figure.update_yaxes(range=[0, 1], row=1, col=2)
    finish(figure, 460)
    figure.update_layout(legend={"orientation": "v", "yref": "paper", "y": 1, "x": 1.02})
    return figure


def curves_page(records: Sequence[Record], title: str) -> str:
    """The curves as one self-contained page."""
    figure = curves(records)
    figure.update_layout(title={"text": title}, paper_bgcolor="white", plot_bgcolor="white")
    page: str = figure.to_html(include_plotlyjs=True)
    return page
