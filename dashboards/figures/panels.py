"""Dot plots of means by strategy: a row of panels per model, mask-weighted and balanced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboards.figures.rows import Row, coverage, hover, offsets, segments, unique
from dashboards.figures.theme import finish

WEIGHTINGS = (
    ("", "every mask weighs the same"),
    ("_balanced", "every structure and modality weighs the same"),
)


@dataclass(frozen=True)
class Series:
    """One kind of mark in every panel: its rows, name, colour and symbol."""

    label: str
    items: Sequence[Row]
    colour: str
    symbol: str


def dot_panels(
    items: Sequence[Row], series: Sequence[Series], value: str, axis: str, axis_range: list[float]
) -> go.Figure:
    """A panel per model (rows) and weighting (columns); strategies from top to bottom.

    Args:
        items: all rows of the answer; gives models, strategies and n/N.
        value: column stem of the mean, such as `dice`.
    """
    models = unique(row["model"] for row in items)
    titles = [f"{model} · {words}" for model in models for _, words in WEIGHTINGS]
    figure = make_subplots(
        rows=len(models), cols=2, shared_xaxes=True, shared_yaxes=True, subplot_titles=titles,
        horizontal_spacing=0.03, vertical_spacing=min(0.12, 0.3 / len(models)),
    )  # fmt: skip
    lines = 0
    for at, model in enumerate(models, start=1):
        mine = [row for row in items if row["model"] == model]
        strategies = unique(row["strategy"] for row in mine)
        lines += len(strategies)
        for column, (suffix, _) in enumerate(WEIGHTINGS, start=1):
            for shift, kind in zip(offsets(len(series), 0.44), series, strict=True):
                shown = [row for row in kind.items if row["model"] == model]
                y = [strategies.index(row["strategy"]) + shift for row in shown]
                _add(figure, kind, shown, value + suffix, y, (at, column), at == column == 1)
        _label(figure, mine, strategies, at)
    figure.update_xaxes(range=axis_range, showticklabels=True)  # a tall figure is seen in parts
    figure.update_xaxes(title_text=axis, row=len(models))
    return finish(figure, 130 + 70 * len(models) + 44 * lines)


def _add(
    figure: go.Figure,
    kind: Series,
    shown: Sequence[Row],
    value: str,
    y: Sequence[float],
    at: tuple[int, int],
    legend: bool,
) -> None:
    x_line, y_line = segments(shown, value, y)
    common = {"legendgroup": kind.label, "name": kind.label}
    figure.add_trace(
        go.Scatter(
            x=x_line, y=y_line, mode="lines", line={"color": kind.colour, "width": 2.5},
            hoverinfo="skip", showlegend=False, **common,
        ),
        row=at[0], col=at[1],
    )  # fmt: skip
    figure.add_trace(
        go.Scatter(
            x=[row[value] for row in shown], y=list(y), mode="markers", showlegend=legend,
            marker={"color": kind.colour, "symbol": kind.symbol, "size": 10},
            text=[f"{row['strategy']}, {kind.label}<br>{hover(row, value)}" for row in shown],
            hovertemplate="%{text}<extra></extra>", **common,
        ),
        row=at[0], col=at[1],
    )  # fmt: skip


def _label(figure: go.Figure, mine: Sequence[Row], strategies: Sequence[str], at: int) -> None:
    """Strategy names with n/N beside them, first strategy on top."""
    texts = [
        f"{name}  <span style='font-size:11px'>{coverage(found)}</span>"
        for name in strategies
        if (found := [row for row in mine if row["strategy"] == name])
    ]
    figure.update_yaxes(
        tickvals=list(range(len(strategies))), ticktext=texts,
        range=[len(strategies) - 0.5, -0.5], row=at,
    )  # fmt: skip
