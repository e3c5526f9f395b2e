"""Dice of each structure in each modality: a heat map over strategies."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from urllib.parse import urlencode

import plotly.graph_objects as go
import pyarrow as pa
from plotly.subplots import make_subplots

from dashboards.figures.rows import SEEN_MARK, Row, coverage, fewest, hover, rows, short, unique
from dashboards.figures.theme import finish

MAX_ROWS = 60
"""More rows are unreadable; the CSV holds them all."""

_LONGEST = 32  # characters of a name
_ROW_PX = 26
_HEAD_PX = 96  # names of strategies and of the panel
_MOST_NUMBERED = 30  # cells side by side in which a number can be read


def figure(answer: pa.Table) -> go.Figure:
    """From the question `by_structure_modality`: mean Dice, 0..1; rows with most objects first."""
    items = rows(answer)
    pairs = unique((row["structure"], row["modality"]) for row in items)
    expected = {(row["structure"], row["modality"]): row["expected"] for row in items}
    kept = sorted(pairs, key=lambda pair: (-expected[pair], pair))[:MAX_ROWS]
    models = unique(row["model"] for row in items)
    selections = [s for s in ("oracle", "predicted_iou") if any(r["selection"] == s for r in items)]
    high = len(models) * (_HEAD_PX + _ROW_PX * len(kept))
    figure = make_subplots(
        rows=len(models), cols=len(selections), shared_yaxes=True, horizontal_spacing=0.02,
        vertical_spacing=_HEAD_PX / high,
    )  # fmt: skip
    for at, model in enumerate(models, start=1):
        mine = [row for row in items if row["model"] == model]
        for column, selection in enumerate(selections, start=1):
            shown = [row for row in mine if row["selection"] == selection]
            figure.add_trace(_heatmap(shown, kept, len(selections)), row=at, col=column)
            figure.update_xaxes(title_text=f"{model} · {selection}", row=at, col=column)
        figure.update_yaxes(
            tickvals=list(range(len(kept))), ticktext=[_label(mine, pair) for pair in kept],
            autorange="reversed", row=at,
        )  # fmt: skip
    # above the cells: the foot of a tall map is out of view
    figure.update_xaxes(side="top", showticklabels=True, tickangle=-25, tickfont={"size": 11})
    figure.update_layout(
        coloraxis={"colorscale": "Cividis", "cmin": 0, "cmax": 1,
                   "colorbar": {"title": {"text": "Dice"}, "thickness": 12, "lenmode": "pixels",
                                "len": 240, "y": 1, "yanchor": "top"}}
    )  # fmt: skip
    hidden = len(pairs) - len(kept)
    note = fewest(hidden) if hidden else ""
    finish(figure, 40 + high, note=note)
    figure.update_layout(margin={"t": _HEAD_PX, "b": 16})
    figure.update_xaxes(showgrid=False)
    return figure.update_yaxes(showgrid=False)


def _heatmap(shown: Sequence[Row], kept: Sequence[tuple[str, str]], panels: int) -> go.Heatmap:
    strategies = unique(row["strategy"] for row in shown)
    at = {(row["structure"], row["modality"], row["strategy"]): row for row in shown}
    grid = [[at[(*pair, name)] for name in strategies] for pair in kept]
    return go.Heatmap(
        x=strategies,
        y=list(range(len(kept))),
        z=[[row["dice"] for row in line] for line in grid],
        text=[
            [f"{row['strategy']}, {escape(row['structure'])}, {escape(row['modality'])}<br>"
             f"{hover(row, 'dice')}" for row in line]
            for line in grid
        ],
        customdata=[[_which(row) for row in line] for line in grid],
        texttemplate="%{z:.2f}" if panels * len(strategies) <= _MOST_NUMBERED else "",
        textfont={"size": 11},
        hovertemplate="%{text}<extra></extra>",
        xgap=2,
        ygap=2,
        coloraxis="coloraxis",
    )  # fmt: skip


def _which(row: Row) -> str:
    """The cell as a query string: where the dashboard leads from it."""
    names = ("model", "strategy", "selection", "structure", "modality")
    return urlencode({name: row[name].removesuffix(SEEN_MARK) for name in names})


def _label(mine: Sequence[Row], pair: tuple[str, str]) -> str:
    found = [row for row in mine if (row["structure"], row["modality"]) == pair]
    count = f"<span style='font-size:11px'>{coverage(found)}</span>"
    return f"{short(pair[0], _LONGEST)} · {short(pair[1], _LONGEST)}  {count}"
