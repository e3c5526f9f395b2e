"""The charts of the curation report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboards.figures.rows import short
from dashboards.figures.theme import finish
from engine.collection.curation.counts import Count
from engine.collection.curation.distributions import Distribution, Spread
from engine.collection.curation.frame import MIN_OBJECT_PX

_TAKES, _SMALL, _BAR, _RULE = "#0072B2", "#E69F00", "#56B4E9", "#D55E00"
MOST_BARS = 60
_LONGEST = 40  # characters of a name


def objects_by(counts: Sequence[Count], *, log: bool = True) -> go.Figure:
    """Objects per row, those too small to take part set off; most first."""
    ranked = sorted(counts, key=lambda row: (-row.objects, row.name))
    shown = ranked[:MOST_BARS]
    labels = [short(" · ".join(row.name), _LONGEST) for row in shown]
    figure = go.Figure()
    for name, colour, symbol, values in (
        ("take part", _TAKES, "circle", [row.objects_taking_part for row in shown]),
        (f"at most {MIN_OBJECT_PX} px", _SMALL, "diamond", [row.small_objects for row in shown]),
    ):
        figure.add_trace(
            go.Scatter(
                x=[value or None for value in values], y=labels, name=name, mode="markers",
                marker={"color": colour, "symbol": symbol, "size": 10},
                hovertemplate="%{y}<br>%{x:,} objects " + name + "<extra></extra>",
            )
        )  # fmt: skip
    figure.update_xaxes(
        exponentformat="none",
        title={"text": "objects"},
        type="log" if log else "linear",
        dtick=1 if log else None,
    )
    figure.update_yaxes(
        range=[len(labels) - 0.5, -0.5], categoryorder="array", categoryarray=labels, dtick=1
    )
    hidden = len(ranked) - len(shown)
    note = f"{hidden} rows with the fewest objects are only in the table." if hidden else ""
    return finish(figure, 150 + 24 * len(shown), note=note)


def spread_figure(
    items: Sequence[Distribution], titles: Mapping[str, str], mark: Mapping[str, float]
) -> go.Figure:
    """A row per quantity: its histogram, and its quantiles by modality."""
    groups = max(len(item.spreads) for item in items)
    row_px = 110 + 19 * groups
    figure = make_subplots(
        rows=len(items), cols=2, column_widths=[0.42, 0.58], horizontal_spacing=0.16,
        vertical_spacing=min(0.3 / len(items), 90 / (row_px * len(items))),
        subplot_titles=[
            text
            for item in items
            for text in (titles[item.name], "5–95 %, quartiles, median")
        ],
    )  # fmt: skip
    for row, item in enumerate(items, start=1):
        _histogram(figure, item, row)
        _ranges(figure, item, row)
        unit = f"{item.unit} " if item.unit else ""
        words = f"{unit}(per {item.of})"
        for column in (1, 2):
            figure.update_xaxes(
                title={"text": words, "standoff": 4}, **_scale(item),
                row=row, col=column,
            )  # fmt: skip
        figure.update_yaxes(title={"text": f"{item.of}s"}, row=row, col=1)
        if item.name in mark:
            for column in (1, 2):
                figure.add_vline(
                    mark[item.name], line={"color": _RULE, "width": 1.5, "dash": "dash"},
                    row=row, col=column,
                )  # fmt: skip
    figure.update_layout(showlegend=False, bargap=0)
    finish(figure, 60 + row_px * len(items))
    return figure.update_layout(margin={"t": 40})


def _scale(item: Distribution) -> dict[str, Any]:
    """Whole powers of ten are marked where there are at least two of them."""
    if not item.log:
        return {"type": "linear"}
    wide = bool(item.edges) and item.edges[-1] > 100 * item.edges[0]
    return {"type": "log", "exponentformat": "none", "dtick": 1 if wide else None}


def _histogram(figure: go.Figure, item: Distribution, row: int) -> None:
    """Bars as filled steps: bars of unequal width sit badly on a logarithmic axis."""
    edges, counts = np.array(item.edges), np.array(item.counts)
    if not len(counts):
        figure.add_trace(go.Scatter(x=[], y=[]), row=row, col=1)
        return
    x = np.repeat(edges, 2)
    y = np.concatenate([[0], np.repeat(counts, 2), [0]])
    text = [f"{lo:.4g} to {hi:.4g}: {n:,}" for lo, hi, n in zip(edges, edges[1:], counts)]  # noqa: B905
    hover = ["", *[line for line in text for _ in (0, 1)], ""]
    figure.add_trace(
        go.Scatter(
            x=x, y=y, mode="lines", line={"color": _TAKES, "width": 1, "shape": "linear"},
            fill="tozeroy", fillcolor="rgba(86,180,233,0.45)", text=hover,
            hovertemplate="%{text}<extra></extra>",
        ),
        row=row, col=1,
    )  # fmt: skip
    figure.update_yaxes(rangemode="tozero", row=row, col=1)


def _ranges(figure: go.Figure, item: Distribution, row: int) -> None:
    """Thin line 5-95 %, thick line quartiles, dot median."""
    known = [spread for spread in item.spreads if spread.quantiles]
    for lo, hi, width, colour in ((1, 5, 2, _TAKES), (2, 4, 8, _BAR)):
        x: list[float | None] = []
        y: list[str | None] = []
        for spread in known:
            x += [spread.quantiles[lo], spread.quantiles[hi], None]
            y += [_name(spread)] * 2 + [None]
        figure.add_trace(
            go.Scatter(
                x=x, y=y, mode="lines", line={"color": colour, "width": width}, hoverinfo="skip"
            ),
            row=row, col=2,
        )  # fmt: skip
    figure.add_trace(
        go.Scatter(
            x=[spread.quantiles[3] for spread in known],
            y=[_name(spread) for spread in known], mode="markers",
            marker={"color": _SMALL, "size": 9, "line": {"color": "#1c1c1f", "width": 1}},
            text=[_words(spread) for spread in known], hovertemplate="%{text}<extra></extra>",
        ),
        row=row, col=2,
    )  # fmt: skip
    order = [_name(spread) for spread in known]
    figure.update_yaxes(
        range=[len(order) - 0.5, -0.5],
        categoryorder="array",
        categoryarray=order,
        dtick=1,
        row=row,
        col=2,
    )


def _name(spread: Spread) -> str:
    return short(spread.group, _LONGEST)


def _words(spread: Spread) -> str:
    lo, p5, p25, p50, p75, p95, hi = (f"{value:.4g}" for value in spread.quantiles)
    unknown = f", {spread.unknown:,} unknown" if spread.unknown else ""
    return (
        f"{_name(spread)}: median {p50}<br>quartiles {p25} to {p75}; 5–95 % {p5} to {p95}<br>"
        f"all {lo} to {hi}; n = {spread.known:,}{unknown}"
    )
