"""Dice as prompts are displaced."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go
import pyarrow as pa
from plotly.subplots import make_subplots

from dashboards.figures.rows import Row, coverage, hover, offsets, rows, segments, unique
from dashboards.figures.theme import colour, finish, nothing, symbol


def figure(answer: pa.Table) -> go.Figure:
    """From the question `jitter`: mask-weighted mean Dice, 0..1, by level, with intervals."""
    items = rows(answer)
    models = unique(row["model"] for row in items)
    selections = unique(row["selection"] for row in items)
    if not items:
        return nothing("No prompted strategy in this study.")
    figure = make_subplots(
        rows=len(models), cols=len(selections), shared_xaxes=True, shared_yaxes=True,
        subplot_titles=[f"{m} · {s}" for m in models for s in selections],
        horizontal_spacing=0.02, vertical_spacing=min(0.12, 0.3 / len(models)),
    )  # fmt: skip
    strategies = unique(row["strategy"] for row in items)
    levels = unique((row["jitter_lo"], row["jitter_hi"]) for row in items)
    for row, model in enumerate(models, start=1):
        for column, selection in enumerate(selections, start=1):
            panel = [r for r in items if (r["model"], r["selection"]) == (model, selection)]
            _panel(figure, panel, strategies, levels, (row, column))
    figure.update_xaxes(
        tickvals=list(range(len(levels))), ticktext=[_words(*level) for level in levels],
        range=[-0.4, len(levels) - 0.6], showticklabels=True,
    )  # fmt: skip
    figure.update_xaxes(title_text="displacement (px)", row=len(models))
    highest = max((row["dice_hi"] or row["dice"] or 0.0 for row in items), default=0.0)
    top = 1.0 if highest > 0.5 else max(0.1, 1.25 * highest)  # curves near 0 would all look flat
    figure.update_yaxes(range=[-0.02 * top, 1.02 * top])
    figure.update_yaxes(title_text="mean Dice", col=1)
    return finish(figure, 110 + 270 * len(models), note=_note(items, levels))


def _panel(
    figure: go.Figure,
    panel: Sequence[Row],
    strategies: Sequence[str],
    levels: Sequence[tuple[int, int]],
    at: tuple[int, int],
) -> None:
    shifts = offsets(len(strategies), 0.04 * (len(strategies) - 1))
    for index, (shift, name) in enumerate(zip(shifts, strategies, strict=True)):
        mine = [row for row in panel if row["strategy"] == name]
        x = [levels.index((row["jitter_lo"], row["jitter_hi"])) + shift for row in mine]
        y_line, x_line = segments(mine, "dice", x)
        line = {"color": colour(index), "width": 2}
        common = {"legendgroup": name, "name": name}
        figure.add_trace(
            go.Scatter(x=x_line, y=y_line, mode="lines", line=line, hoverinfo="skip",
                       showlegend=False, **common),
            row=at[0], col=at[1],
        )  # fmt: skip
        figure.add_trace(
            go.Scatter(
                x=x, y=[row["dice"] for row in mine], mode="lines+markers", line=line,
                marker={"symbol": symbol(index), "size": 9}, showlegend=at == (1, 1),
                text=[f"{name}<br>{hover(row, 'dice')}{_drop(row)}" for row in mine],
                hovertemplate="%{text}<extra></extra>", **common,
            ),
            row=at[0], col=at[1],
        )  # fmt: skip


def _words(lo: int, hi: int) -> str:
    return "none" if lo == hi == 0 else f"{lo}–{hi}"


def _drop(row: Row) -> str:
    if row["drop"] is None or row["jitter_hi"] == 0:
        return ""
    return f"<br>{100 * row['drop']:+.1f} Dice points against none"


def _note(items: Sequence[Row], levels: Sequence[tuple[int, int]]) -> str:
    parts = []
    for level in levels:
        found = [row for row in items if (row["jitter_lo"], row["jitter_hi"]) == level]
        parts.append(f"{_words(*level)}: {coverage(found)}")
    return "Trials scored / expected per strategy at each level: " + "; ".join(parts) + "."
